package bench

import (
	"slices"
	"sort"
)

// An arrival is what a message turns out to be by its number.
type arrival uint8

const (
	inOrder   arrival = iota
	reordered         // others that were sent after it came before it
	late              // it had been given up
	duplicate         // it has come before
)

// A sequence checks the numbers of what one receiver gets from one sender. The zero
// value expects number 0.
type sequence struct {
	next uint32 // the number above all that came
	odd  *oddities
}

// oddities are what a good server never causes, so no memory is set aside for them.
// They have an entry at most for each message of a round.
type oddities struct {
	gaps  []gap    // ascending; what of the numbers below next has not come
	wrong []uint32 // numbers that came with something wrong
	stood []uint32 // numbers that something unknown stands for, and that may still come
}

// A gap is the numbers from first until before end that have not come.
type gap struct {
	first, end uint32
	seen       int64 // when a later number came; 0: given up
}

// arrive takes note of number, which has come at a time. It returns how many numbers
// below were passed over by it.
func (q *sequence) arrive(number uint32, at int64) (a arrival, passed uint32) {
	if number < q.next {
		return q.arriveLate(number), 0
	}
	passed = number - q.next
	if passed > 0 {
		if q.odd == nil {
			q.odd = new(oddities)
		}
		q.odd.gaps = append(q.odd.gaps, gap{q.next, number, at})
	}
	q.next = number + 1
	return inOrder, passed
}

// arriveLate closes the gap that number leaves.
func (q *sequence) arriveLate(number uint32) arrival {
	if q.odd == nil {
		return duplicate
	}
	gaps := q.odd.gaps
	i := sort.Search(len(gaps), func(i int) bool { return number < gaps[i].end })
	if i == len(gaps) || number < gaps[i].first {
		return duplicate
	}
	g := gaps[i]
	var rest []gap
	if g.first < number {
		rest = append(rest, gap{g.first, number, g.seen})
	}
	if number+1 < g.end {
		rest = append(rest, gap{number + 1, g.end, g.seen})
	}
	q.odd.gaps = slices.Replace(gaps, i, i+1, rest...)
	if g.seen == 0 {
		return late
	}
	return reordered
}

// wrongFor notes that number came, and something was wrong with it.
func (q *sequence) wrongFor(number uint32) {
	if q.odd == nil {
		q.odd = new(oddities)
	}
	q.odd.wrong = append(q.odd.wrong, number)
}

// standFor lets something unknown, that has come at a time, stand for the number that is next.
func (q *sequence) standFor(at int64) {
	if q.odd == nil {
		q.odd = new(oddities)
	}
	q.odd.stood = append(q.odd.stood, q.next)
	q.arrive(q.next, at)
}

// redeem takes note that number has come which something unknown stood for. It is a duplicate
// if that was not so.
func (q *sequence) redeem(number uint32) arrival {
	if q.odd == nil {
		return duplicate
	}
	stood := q.odd.stood // ascending
	i, found := slices.BinarySearch(stood, number)
	if !found {
		return duplicate
	}
	above := len(stood) - i - 1
	q.odd.stood = slices.Delete(stood, i, i+1)
	if int(q.next-number)-1 > above {
		return reordered // behind one that has come
	}
	return inOrder
}

// standing is how many numbers something unknown stands for.
func (q *sequence) standing() int {
	if q.odd == nil {
		return 0
	}
	return len(q.odd.stood)
}

// giveUp gives up the gaps that were seen before a time, and returns how many
// numbers that are.
func (q *sequence) giveUp(before int64) (n int) {
	if q.odd == nil {
		return 0
	}
	for i, g := range q.odd.gaps {
		if g.seen != 0 && g.seen < before {
			q.odd.gaps[i].seen = 0
			n += int(g.end - g.first)
		}
	}
	return n
}

// missing is how many of the numbers from first until before end have not come.
func (q *sequence) missing(first, end uint32) int {
	n := max(0, int(end)-int(max(first, q.next)))
	if q.odd == nil {
		return n
	}
	for _, g := range q.odd.gaps {
		n += max(0, int(min(end, g.end))-int(max(first, g.first)))
	}
	return n
}

// wrongs is how many of the numbers from first until before end came with something wrong,
// or had something unknown come in their place.
func (q *sequence) wrongs(first, end uint32) (n int) {
	if q.odd == nil {
		return 0
	}
	for _, numbers := range [][]uint32{q.odd.wrong, q.odd.stood} {
		for _, number := range numbers {
			if first <= number && number < end {
				n++
			}
		}
	}
	return n
}

// pass gives up all numbers below next that have not come.
func (q *sequence) pass(next uint32) {
	if next <= q.next {
		return
	}
	if q.odd == nil {
		q.odd = new(oddities)
	}
	q.odd.gaps = append(q.odd.gaps, gap{first: q.next, end: next})
	q.next = next
}
