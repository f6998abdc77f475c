package engine

import (
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const tlsFilesInterval = time.Second // the files are looked at so often at most

// tlsFiles is a configuration that follows files. They are looked at when a client
// comes, so nothing runs while none does.
type tlsFiles struct {
	options *TLSOptions
	base    *tls.Config
	log     *slog.Logger

	config  atomic.Pointer[tls.Config]
	checked atomic.Int64 // when the files were looked at, in nanoseconds

	mu     sync.Mutex  // held while files are read
	stamps []fileStamp // of the files in use
	failed []fileStamp // of those that could not be used, since they last changed
}

// A fileStamp tells whether a file has changed. It is the zero value for one that is
// not there.
type fileStamp struct {
	info os.FileInfo
}

func (s fileStamp) equal(t fileStamp) bool {
	if s.info == nil || t.info == nil {
		return s.info == t.info
	}
	return os.SameFile(s.info, t.info) && s.info.Size() == t.info.Size() && s.info.ModTime().Equal(t.info.ModTime())
}

// current is tls.Config.GetConfigForClient.
func (f *tlsFiles) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	now, last := time.Now().UnixNano(), f.checked.Load()
	if passed := time.Duration(now - last); (passed >= tlsFilesInterval || passed < 0) && f.checked.CompareAndSwap(last, now) {
		if err := f.refresh(); err != nil {
			f.log.LogAttrs(noContext, slog.LevelError, "TLS files changed, but cannot be used", slog.Any("err", err))
		}
	}
	return f.config.Load(), nil
}

// refresh reads the files unless they are those in use. After an error the configuration is
// what it was, and the next look tries again: want of a descriptor passes, and so does a file
// that is being written, without the files being any others. It returns one error only for
// the same files.
func (f *tlsFiles) refresh() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var stamps []fileStamp
	for _, name := range []string{f.options.CertFile, f.options.KeyFile, f.options.ClientCAFile} {
		var s fileStamp
		if name != "" {
			s.info, _ = os.Stat(name)
		}
		stamps = append(stamps, s)
	}
	if slices.EqualFunc(stamps, f.stamps, fileStamp.equal) {
		f.failed = nil
		return nil
	}
	c, err := f.options.load(f.base)
	if err == nil {
		f.config.Store(c)
		f.stamps, f.failed = stamps, nil
		return nil
	}
	if slices.EqualFunc(stamps, f.failed, fileStamp.equal) {
		return nil
	}
	f.failed = stamps
	return err
}
