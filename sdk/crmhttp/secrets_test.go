package crmhttp

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// show returns everything that can be seen of an error.
func show(err error) string {
	var out strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n", e, e, e)
		if f, ok := e.(*fault.Error); ok {
			fmt.Fprintln(&out, f.Op, f.Msg, f.Code, f.Source)
		}
	}
	return out.String()
}

// Whatever the CRM does with the credentials, they are in no error.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	const user, password, key = "k3y-us3r", "p@ss:w/rd+1", "header-k3y-value"
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	auths := map[string]string{
		"bearer": testAuth, "basic": "Basic " + basic, "raw": "raw-api-k3y-value",
		"parameters": `OAuth realm="x", oauth_token="oauth-t0ken-value"`,
		"quoted":     `Token a"b\c<d>e-s3cr3t`,
	}
	secrets := []string{
		"s3cr3t-token-value", basic, user, password, url.QueryEscape(password), "raw-api-k3y-value",
		"oauth-t0ken-value", key, "qu3ry-secret", "path-s3cr3t-1234", `a"b\c<d>e-s3cr3t`,
	}
	echo := func(r *http.Request) string {
		all := []string{r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.URL.String()}
		quoted, _ := json.Marshal(all)
		_, token, _ := strings.Cut(all[0], " ")
		decoded, _ := base64.StdEncoding.DecodeString(token)
		return strings.Join(append(all, string(quoted), token, string(decoded), url.QueryEscape(string(decoded)), url.QueryEscape(all[0])), " | ")
	}
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"refusal": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, "you sent "+echo(r))
		},
		"crash": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, echo(r))
		},
		"not JSON": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, echo(r)) },
		"other form": func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]string{"id": echo(r)})
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example/?x="+url.QueryEscape(echo(r)))
			w.WriteHeader(http.StatusFound)
		},
		"malformed": func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, strings.ReplaceAll(echo(r), " | ", "\r\n")+"\r\n\r\n")
		},
	}
	for name, answer := range answers {
		for kind, auth := range auths {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := serve(t, answer, func(cfg *Config) {
					cfg.Header = http.Header{"X-Api-Key": {key}}
					cfg.ErrorMessage = func(resp *Response) string { return string(resp.Body) }
				})
				call := openCall()
				call.AuthHeader = sdk.NewSecret(auth)
				for _, method := range []string{"GET", "POST"} {
					x := Request{Method: method, Path: "/a/path-s3cr3t-1234", Query: url.Values{"q": {"qu3ry-secret"}}}
					err := c.For(call).exchange(t.Context(), x, new(created))
					if err == nil {
						t.Fatal("no error")
					}
					for _, secret := range secrets {
						if strings.Contains(show(err), secret) {
							t.Errorf("%s: the secret %q stands in\n%s", method, secret, show(err))
						}
					}
				}
			})
		}
	}
}

func TestErrorMessage(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ auth, body, want string }{
		"plain":          {testAuth, "the deal is closed", ": the deal is closed"},
		"several lines":  {testAuth, "a\r\n\tb\x00\x1b[31m\u202Ec", ": a b[31mc"},
		"invalid UTF-8":  {testAuth, "a\xffb", ": ab"},
		"with the token": {testAuth, "bad token s3cr3t-token-value", ": bad token [redacted]"},
		"long":           {testAuth, strings.Repeat("é", 1000), ": " + strings.Repeat("é", 148) + "..."},
		"token at a cut": {testAuth, strings.Repeat("x", 290) + " s3cr3t-token-value", ": " + strings.Repeat("x", 290) + " [redac..."},
		"tiny secret":    {"Bearer xyz", "the token xyz is bad", ""},
		"nothing":        {testAuth, "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Echo", r.Header.Get("Authorization"))
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, tc.body)
			}, func(cfg *Config) {
				cfg.ErrorMessage = func(resp *Response) string {
					if resp.Status != http.StatusConflict || strings.Contains(fmt.Sprint(resp.Header, string(resp.Body)), "s3cr3t") {
						t.Errorf("ErrorMessage got %d, %v, %q", resp.Status, resp.Header, resp.Body)
					}
					return string(resp.Body)
				}
			})
			call := openCall()
			call.AuthHeader = sdk.NewSecret(tc.auth)
			err := c.For(call).PostJSON(t.Context(), "/deals/12345", 1, nil)
			check(t, err, wantRejected)
			if got, want := fault.MessageOf(err), "POST /deals/{}: the CRM answered 409 Conflict"+tc.want; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// What is not the CRM's own can be told by its headers, and what is done to them
// changes nothing of the answer that Do returns.
func TestErrorMessageSeesHeaders(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", map[string]string{"/crm": "text/plain", "/proxy": "text/html"}[r.URL.Path])
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "no such folder")
	}, func(cfg *Config) {
		cfg.ErrorMessage = func(resp *Response) string {
			kind, text := resp.Header.Get("Content-Type"), string(resp.Body)
			resp.Header.Del("Content-Type")
			clear(resp.Body)
			if kind != "text/plain" {
				return ""
			}
			return text
		}
	})
	for path, want := range map[string]string{"/crm": ": no such folder", "/proxy": ""} {
		resp, err := c.For(openCall()).Do(t.Context(), Request{Method: http.MethodPost, Path: path})
		if got := fault.MessageOf(err); got != "POST "+path+": the CRM answered 404 Not Found"+want {
			t.Errorf("%s: got %q", path, got)
		}
		if resp.Header.Get("X-Echo") != testAuth || resp.Header.Get("Content-Type") == "" || string(resp.Body) != "no such folder" {
			t.Errorf("%s: Do returns %+v", path, resp)
		}
	}
}

func TestBodiesStayOutOfErrorsByDefault(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "private words")
	})
	err := c.For(openCall()).PostJSON(t.Context(), "/a", 1, nil)
	if check(t, err, wantRejected); strings.Contains(show(err), "private") {
		t.Errorf("the body stands in\n%s", show(err))
	}
}

// What a server sends on an idle connection is not printed by net/http, as it
// would by itself.
func TestUnsolicitedDataEndsTheConnection(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	c := &conn{Conn: near}
	defer c.Close()
	g := &guard{}
	g.carry(c, false)
	go func() { _, _ = io.WriteString(far, "answer"); _, _ = io.WriteString(far, "extra"); far.Close() }()
	buf := make([]byte, len("answer"))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "answer" {
		t.Fatalf("got %q, %v", buf, err)
	}
	g.end()
	if n, err := bufio.NewReader(c).Read(buf); n != 0 || !errors.Is(err, errUnsolicited) {
		t.Errorf("got %d bytes, %v; want %v", n, err, errUnsolicited)
	}
}

func TestCredentialsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	call := openCall()
	call.AuthHeader = sdk.NewSecret("Bearer a\r\nX-Evil: 1")
	check(t, c.For(call).PostJSON(t.Context(), "/a", 1, nil), wantUnauthorized)
}

func retryAfterOf(err error) time.Duration { return fault.RetryAfterOf(err) }
