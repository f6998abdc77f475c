package bench

import (
	"math/rand/v2"
	"testing"
)

// TestSequence compares with a plain account of what came, for random orders.
func TestSequence(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var q sequence
		came := make(map[uint32]bool)
		highest := -1
		for range 100 {
			number := uint32(max(0, highest+1+random.IntN(9)-5))
			got, _ := q.arrive(number, 1)
			want := inOrder
			switch {
			case came[number]:
				want = duplicate
			case int(number) < highest:
				want = reordered
			}
			if got != want {
				t.Fatalf("seed %d: arrive(%d) = %v, want %v", seed, number, got, want)
			}
			came[number] = true
			highest = max(highest, int(number))
		}
		first, end := uint32(random.IntN(60)), uint32(60+random.IntN(200))
		missing := 0
		for n := first; n < end; n++ {
			if !came[n] {
				missing++
			}
		}
		if got := q.missing(first, end); got != missing {
			t.Errorf("seed %d: missing(%d, %d) = %d, want %d", seed, first, end, got, missing)
		}
	}
}

func TestSequenceGivesUp(t *testing.T) {
	var q sequence
	q.arrive(3, 10) // 0, 1 and 2 are passed over
	q.arrive(5, 20) // 4 is
	if got := q.giveUp(15); got != 3 {
		t.Errorf("gave up %d, want 3", got)
	}
	if got := q.giveUp(15); got != 0 {
		t.Errorf("gave up %d once more", got)
	}
	for number, want := range map[uint32]arrival{1: late, 4: reordered} {
		if got, _ := q.arrive(number, 30); got != want {
			t.Errorf("arrive(%d) = %v, want %v", number, got, want)
		}
	}
	q.pass(10)
	if got, _ := q.arrive(8, 40); got != late {
		t.Errorf("arrive(8) = %v, want late", got)
	}
	if got := q.missing(0, 10); got != 5 { // 0, 2, 6, 7, 9
		t.Errorf("%d missing, want 5", got)
	}
	q.wrongFor(3)
	if got := q.wrongs(0, 3) + 10*q.wrongs(3, 4); got != 10 {
		t.Errorf("wrongs: %d", got)
	}
}

// TestSequenceRedeems has something unknown stand for numbers that come after all, or not.
func TestSequenceRedeems(t *testing.T) {
	var q sequence
	q.standFor(1) // for 0
	q.standFor(1) // for 1
	q.arrive(2, 1)
	q.standFor(1) // for 3
	if got := q.standing() + 10*q.wrongs(0, 3); got != 3+10*2 {
		t.Errorf("standing and wrongs: %d", got)
	}
	for _, tt := range []struct {
		number uint32
		want   arrival
	}{{3, inOrder}, {3, duplicate}, {1, reordered}, {2, duplicate}} {
		a, _ := q.arrive(tt.number, 2)
		if got := q.redeem(tt.number); a != duplicate || got != tt.want {
			t.Errorf("%d: arrived as %v, redeemed as %v; want %v", tt.number, a, got, tt.want)
		}
	}
	if got := q.standing() + 10*q.wrongs(0, 9) + 100*q.missing(0, 4); got != 1+10*1 {
		t.Errorf("standing, wrongs and missing: %d", got)
	}
}
