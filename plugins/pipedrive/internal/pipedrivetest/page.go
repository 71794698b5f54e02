package pipedrivetest

import (
	"bytes"
	"crypto/rand"
	_ "embed" // for page.html
	"html/template"
	"net/http"
	"strconv"
)

//go:embed page.html
var pageText string

// page shows one activity.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	// A CRM shows notes as HTML, so that a badly escaped note can be seen for what
	// it is. The page's Content-Security-Policy lets no note run, load, style or
	// submit anything.
	"html": func(note string) template.HTML { return template.HTML(note) }, //nolint:gosec // see above
}).Parse(pageText))

// activityPage is what the link to a log opens.
func (f *Fake) activityPage(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	a := f.records.get(id)
	if err != nil || a == nil {
		http.Error(w, "There is no such activity.", http.StatusNotFound)
		return
	}
	nonce := rand.Text()
	var out bytes.Buffer
	err = page.Execute(&out, struct {
		Nonce, Company, Type, Person, Organization, Deal, Lead, Owner string
		Activity                                                      *Activity
	}{
		nonce, f.cfg.CompanyDomain, f.account.types[a.Type].Name, f.account.persons[a.PersonID].Name,
		f.account.orgs[a.OrgID].Name, f.account.deals[a.DealID].Title, f.account.leads[a.LeadID].Title,
		f.account.users[a.OwnerID].Name, a,
	})
	if err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'nonce-"+nonce+"'")
	send(w, http.StatusOK, "text/html; charset=utf-8", out.Bytes())
}
