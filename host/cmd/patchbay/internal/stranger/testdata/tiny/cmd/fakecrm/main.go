// Command fakecrm is a CRM that keeps lines about people.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	log.Fatal(http.Serve(listener, &crm{token: os.Args[2]}))
}

type line struct {
	Key    string `json:"key"`
	Person string `json:"person"`
	Line   string `json:"line"`
}

type crm struct {
	token string

	mu    sync.Mutex // guards lines
	lines []line
}

func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+c.token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(map[string][]line{"lines": c.lines})
		return
	}
	var in line
	if _, err := fmt.Sscanf(r.URL.Path, "/people/%s", &in.Person); err != nil || json.NewDecoder(r.Body).Decode(&in) != nil || in.Line == "" {
		http.Error(w, "no line about a person", http.StatusBadRequest)
		return
	}
	in.Key = fmt.Sprintf("line-%d", len(c.lines)+1)
	c.lines = append(c.lines, in)
	_ = json.NewEncoder(w).Encode(in)
}
