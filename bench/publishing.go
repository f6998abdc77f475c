package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"text/template"

	"github.com/weirws/weir/handler"
)

// Publishing is how fanout has messages published, and what subscribers say to get them.
// With the zero value publishers are connections to the server that send them as they are, to
// subscribers that only listen.
//
// With any of its fields set, servers may put messages in envelopes of their own: then
// subscribers look for messages in all that comes, and other things that servers say
// count as nothing.
type Publishing struct {
	// URLs, http or https, are where messages are posted, each in a request of its own, in the
	// order of Config.URLs. A publisher waits for the answer to one before it posts the next;
	// what is answered with anything but 2xx, or finds no connection to go out on, was not
	// published; what is not answered may have been. Default: none.
	URLs []string `json:"urls,omitempty"`
	// Headers are fields of those requests, each "Name: value". Default: a Content-Type of
	// text/plain.
	Headers []string `json:"headers,omitempty"`
	// Template, of text/template, is what is posted or sent. In it {{.Message}} is the message,
	// of letters, digits, - and _; {{.Publisher}} and {{.Number}} say which, from 0. Messages
	// are then sent as text. Default: {{.Message}}
	Template string `json:"template,omitempty"`
	// Subscribe, of text/template, is a text message that each subscriber sends once it is
	// connected. In it {{.Subscriber}} is its number, from 0. The warm-up has to be
	// long enough for the server to act on it. Default: none.
	Subscribe string `json:"subscribe,omitempty"`
}

// A publishedMessage is what Template is about.
type publishedMessage struct {
	Message   string
	Publisher int
	Number    uint32
}

// A subscription is what Subscribe is about.
type subscription struct{ Subscriber int }

// enveloped reports whether messages may come with something around them.
func (p Publishing) enveloped() bool {
	return len(p.URLs) > 0 || p.Template != "" || p.Subscribe != ""
}

// mustTemplate parses a template that has been validated.
func mustTemplate(text string) *template.Template {
	return template.Must(template.New("").Parse(text))
}

// execute parses a template and fills it in.
func execute(text string, data any) (string, error) {
	t, err := template.New("template").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, data)
	return b.String(), err
}

// validate reports everything that is wrong with p, for the scenario and servers of c.
func (p Publishing) validate(c Config) error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("bench: "+format, args...))
		}
	}
	refuse(c.Scenario != "fanout" && (p.enveloped() || len(p.Headers) > 0), "%s does not publish, only fanout does", c.Scenario)
	refuse(len(p.URLs) > 0 && len(p.URLs) != len(c.URLs), "%d URLs to publish at are not one for each of the %d servers", len(p.URLs), len(c.URLs))
	for _, u := range p.URLs {
		refuse(!isWebURL(u), "%q is not a URL to publish at, such as http://127.0.0.1:7681/publish/topic", shownURL(u))
	}
	refuse(len(p.Headers) > 0 && len(p.URLs) == 0, "headers need a URL to publish at")
	for _, h := range p.Headers {
		name, field, ok := strings.Cut(h, ":")
		var checked handler.Request
		refuse(!ok || checked.AddHeader(name, strings.TrimSpace(field)) != nil, "a header to publish with is not a field such as 'Authorization: Bearer x'")
	}
	const sample = stampMark + "Sample"
	text, err := execute(p.Template, publishedMessage{Message: sample})
	refuse(err != nil, "what to publish: %w", err)
	refuse(err == nil && p.Template != "" && !strings.Contains(text, sample), "what to publish, %q, lacks {{.Message}}", p.Template)
	_, err = execute(p.Subscribe, subscription{})
	refuse(err != nil, "what to subscribe with: %w", err)
	return errors.Join(errs...)
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	return err == nil && port > 0
}

// withoutSecrets returns p with the values of headers left out: a report is shown to others.
func (p Publishing) withoutSecrets() Publishing {
	p.Headers = slices.Clone(p.Headers)
	for i, h := range p.Headers {
		name, _, _ := strings.Cut(h, ":")
		p.Headers[i] = name + ": …"
	}
	return p
}

// A poster publishes over HTTP, from any goroutine.
type poster struct {
	client *http.Client
	url    string
	header http.Header
}

// newPoster makes the poster for server number target.
func newPoster(s *session, target int) *poster {
	c := s.job.Config
	p := &poster{url: c.Publishing.URLs[target], header: make(http.Header)}
	p.client = &http.Client{
		Timeout:       c.Timeout,
		Transport:     &http.Transport{TLSClientConfig: s.trust.Clone(), MaxIdleConnsPerHost: mostPublishers},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.header.Set("Content-Type", "text/plain; charset=utf-8")
	own := make(http.Header)
	for _, h := range c.Publishing.Headers {
		name, field, _ := strings.Cut(h, ":")
		own.Add(name, strings.TrimSpace(field))
	}
	for name, fields := range own {
		p.header[name] = fields
	}
	return p
}

// mostAnswer is how much is read of an answer, so that its connection can be used again.
const mostAnswer = 64 << 10

// post posts a body and returns the status of the answer. With an error, left tells whether
// something may have left for the server, which then may have published it.
func (p *poster) post(body string) (status int, left bool, err error) {
	var connected atomic.Bool // of the last attempt: one that sent nothing is made again
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	r.Header = p.header.Clone()
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, connected.Load(), err
	}
	_, _ = io.CopyN(io.Discard, answer.Body, mostAnswer) // the status has been read, which is all that counts
	_ = answer.Body.Close()
	return answer.StatusCode, true, nil
}
