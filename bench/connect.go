package bench

import (
	"github.com/weirws/weir/handler"
)

// connect opens connections, as fast as the server takes them or at a rate, and that is
// what is measured. They stay open until all are.
type connect struct{ *session }

func newConnect(s *session) scenario { return connect{s} }

func (c connect) size() int { return c.job.Count }

func (c connect) handler(int) handler.Handler {
	return handler.Funcs{Close: func(_ handler.Conn, status handler.CloseStatus) { c.dropped(status) }}
}

func (c connect) start()                      {}
func (c connect) sweep(int64)                 {}
func (c connect) stop() []publications        { return nil }
func (c connect) settled([]publications) bool { return true }
func (c connect) finish([]publications)       {}
func (c connect) spread() []spread            { return nil }
