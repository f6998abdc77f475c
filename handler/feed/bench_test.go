package feed_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirws/weir/handler/feed"
)

func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{16, 128, 4 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			f, err := feed.New(feed.Options{})
			if err != nil {
				b.Fatal(err)
			}
			m := feed.Bytes([]byte(strings.Repeat("x", size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Publish("a", m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
