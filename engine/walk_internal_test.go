package engine

import (
	"math"
	"testing"
)

// The numbers of walks begin anew once they are used up. No connection then has one that
// looks like that of a walk to come.
func TestMarksBeginAnew(t *testing.T) {
	never, once := new(Conn), &Conn{mark: 2}
	l := &loop{slots: []slot{{conn: never}, {conn: once}}}
	l.walk.mark = math.MaxUint32
	for range 2 {
		l.newMark()
		if l.walk.mark == never.mark || l.walk.mark == once.mark {
			t.Errorf("mark %d is that of a connection that the walk has not reached", l.walk.mark)
		}
	}
}
