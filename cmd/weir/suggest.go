package main

// nearest returns the word that is most probably meant by name, and whether one is
// near enough to be named: a third of its letters may differ.
func nearest(name string, words []string) (word string, ok bool) {
	best := max(1, len(name)/3) + 1
	for _, w := range words {
		if d := editDistance(name, w); d < best {
			best, word, ok = d, w, true
		}
	}
	return word, ok
}

// editDistance is the number of bytes to insert, delete, replace or swap with their
// neighbour that turns a into b.
func editDistance(a, b string) int {
	// Three rows of the table: for a[:i-2], a[:i-1] and a[:i].
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
