package engine

import "github.com/weirws/weir/frame"

// An undecoded is what one read has brought and is still to be decoded: compressed messages
// may grow to a thousand times that.
type undecoded struct {
	buffer *frame.Buffer
	from   int // bytes before it are decoded
}

// keepUndecoded copies what decode has left, which has its turn when others had theirs.
func (c *Conn) keepUndecoded(in []byte) {
	if c.fd < 0 {
		return
	}
	u := undecoded{buffer: frame.NewBuffer(len(in))}
	u.buffer.Append(in)
	c.putUndecoded(u)
}

func (c *Conn) putUndecoded(u undecoded) {
	l := c.loop
	if l.undecoded == nil {
		l.undecoded = map[*Conn]undecoded{}
	}
	l.undecoded[c] = u
	c.readAgain()
}

// consumeUndecoded decodes more of what an earlier read has left. It reports whether there was
// anything.
func (c *Conn) consumeUndecoded() bool {
	u, ok := c.loop.undecoded[c]
	if !ok {
		return false
	}
	delete(c.loop.undecoded, c)
	left := 0
	if c.decodes() {
		left = c.decode(u.buffer.B[u.from:])
	}
	if left == 0 || c.fd < 0 {
		u.buffer.Release()
		return true
	}
	u.from = len(u.buffer.B) - left
	c.putUndecoded(u)
	return true
}

// dropUndecoded lets go of what a connection whose socket is closed has not decoded.
func (c *Conn) dropUndecoded() {
	if u, ok := c.loop.undecoded[c]; ok {
		delete(c.loop.undecoded, c)
		u.buffer.Release()
	}
}
