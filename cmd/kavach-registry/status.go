package main

import (
	"fmt"
	"net/http"
	"time"
)

// statusError is an answer that is not what was asked for.
type statusError struct {
	host  string
	code  int
	says  string        // by the registry; may be empty
	tried int           // how often; 0: once
	wait  time.Duration // as Retry-After has it; 0: not said
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.host, e.code, http.StatusText(e.code))
	if e.tried > 1 {
		text += fmt.Sprintf(", %d times", e.tried)
	}
	if e.says != "" {
		text += ": " + e.says
	}
	return text
}

// trouble says what to do about it. looked is where credentials were looked for.
func (e *statusError) trouble(looked string) *trouble {
	t := &trouble{Kind: kindServer, Message: e.Error(), Status: e.code, Fix: "see that this is a registry (distribution-spec), and what is between it and you"}
	switch {
	case e.code == http.StatusUnauthorized, e.code == http.StatusForbidden:
		t.Kind = kindAuth
		t.Message += " (" + looked + ")"
		t.Fix = "log in (docker login, podman login), or see that the name is right: many registries say this of what is not there"
	case e.code == http.StatusNotFound:
		t.Kind = kindNotFound
		t.Fix = "see that the name, the tag and the digest are right"
	case e.code == http.StatusTooManyRequests:
		t.Kind = kindRateLimited
		t.Fix = "try again later, or log in: registries let known users fetch more"
		if e.wait > 0 {
			t.Fix = fmt.Sprintf("try again in %s, or log in: registries let known users fetch more", e.wait.Round(time.Second))
		}
	case e.code >= http.StatusInternalServerError:
		t.Fix = "try again later; this is the registry's fault"
	}
	return t
}
