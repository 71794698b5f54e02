package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestContract(t *testing.T) {
	var lines atomic.Int64
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"key":"line-%d"}`, lines.Add(1))
	}))
	t.Cleanup(crm.Close)
	client, err := crmhttp.New(crmhttp.Config{BaseURL: crm.URL, AllowPrivate: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	sdktest.Run(t, func(*testing.T) sdk.Adapter { return adapter{client} }, sdktest.WithWrites(func() int { return int(lines.Load()) }))
}
