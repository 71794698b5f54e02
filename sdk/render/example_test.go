package render_test

import (
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

// example returns a request such as an adapter gets.
func example() *sdk.AddMessageLogRequest {
	return &sdk.AddMessageLogRequest{
		IdempotencyKey: "pb-5f1c09", Zone: "America/Los_Angeles",
		ContactInfo: sdk.Contact{ID: sdk.IntID(7), Name: "Ada Lovelace", PhoneNumber: "+16505553204"},
		Messages: []sdk.Message{{
			ID: sdk.IntID(60279564004), Type: "SMS", Direction: "Outbound", Subject: "Is 3 < 4?",
			CreationTime: time.Date(2015, 2, 18, 13, 24, 50, 0, time.UTC),
			From:         sdk.Correspondent{PhoneNumber: "+18885550052"},
			To:           []sdk.Correspondent{{PhoneNumber: "+16505553204"}},
		}},
	}
}

func ExampleHTML() {
	fmt.Println(render.HTML(example()))
	// Output:
	// <p><b>2015-02-18 05:24:50 -08:00</b> Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)</p><p>Is 3 &lt; 4?</p>
}

func ExampleHTMLWith() {
	req := example()
	fmt.Println(render.HTMLWith(req, render.Options{Marker: req.IdempotencyKey, TimeFormat: time.DateOnly}))
	// Output:
	// <p><b>2015-02-18</b> Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)</p><p>Is 3 &lt; 4?</p><p>Reference: pb-5f1c09</p>
}

func ExampleText() {
	fmt.Println(render.Text(example()))
	// Output:
	// 2015-02-18 05:24:50 -08:00 Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)
	//   Is 3 < 4?
}

func ExampleTextWith() {
	fmt.Println(render.TextWith(example(), render.Options{Location: time.UTC}))
	// Output:
	// 2015-02-18 13:24:50 +00:00 Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)
	//   Is 3 < 4?
}

func ExampleMarkdown() {
	fmt.Println(render.Markdown(example()))
	// Output:
	// **2015-02-18 05:24:50 -08:00** Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)
	//
	// > Is 3 \< 4?
}

func ExampleMarkdownWith() {
	req := example()
	fmt.Println(render.MarkdownWith(req, render.Options{Marker: req.IdempotencyKey}))
	// Output:
	// **2015-02-18 05:24:50 -08:00** Outbound SMS from +18885550052 to Ada Lovelace (+16505553204)
	//
	// > Is 3 \< 4?
	//
	// Reference: pb-5f1c09
}

func ExampleSubject() {
	fmt.Println(render.Subject(example()))
	// Output:
	// SMS to Ada Lovelace
}
