package server

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// respond writes a JSON answer. That the client may be gone is not this server's
// concern.
func respond(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil { // a type of this package that cannot be encoded: a defect
		status, text = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer cannot be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// problem is the body of every refusal.
type problem struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	var p problem
	p.Error.Code, p.Error.Message = code, message
	respond(w, status, p)
}

// refuseError answers with the status that belongs to an error of the records.
func refuseError(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errUnknownContact):
		refuse(w, http.StatusNotFound, "unknown_contact", err.Error())
	case errors.Is(err, errFull):
		refuse(w, http.StatusInsufficientStorage, "full", err.Error())
	default:
		refuse(w, http.StatusInternalServerError, "internal", "the record could not be stored")
	}
}

// read decodes a request body strictly. When it cannot, it answers and reports
// false. The answer names the member that is wrong, never its value.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "too_large", "the body is too large")
		return false
	case err != nil:
		refuse(w, http.StatusBadRequest, "malformed", "the body could not be read")
		return false
	}
	err = json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	var wrong *json.SemanticError
	switch {
	case errors.As(err, &wrong):
		refuse(w, http.StatusBadRequest, "malformed", strconv.Quote(place(wrong))+" is unknown or has the wrong type")
		return false
	case err != nil:
		refuse(w, http.StatusBadRequest, "malformed", "the body is not well-formed JSON, or repeats a member")
		return false
	}
	return true
}

// place is the JSON Pointer of what is wrong, cut to a bearable length.
func place(wrong *json.SemanticError) string {
	for inner := wrong; errors.As(wrong.Err, &inner); { // a type with a decoder of its own
		wrong = inner
	}
	const most = 80
	pointer := string(wrong.JSONPointer)
	return pointer[:min(len(pointer), most)]
}

// number reads a query parameter. When it is not within the bounds, it answers
// and reports false.
func number(w http.ResponseWriter, r *http.Request, name string, fallback, least, most int) (int, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		refuse(w, http.StatusBadRequest, "invalid_parameter",
			name+" must be a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return 0, false
	}
	return n, true
}
