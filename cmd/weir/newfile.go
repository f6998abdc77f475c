package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A newFile is a file to write.
type newFile struct {
	name    string
	content []byte
	mode    os.FileMode
}

// writeNew writes files. Those that exist are an error, before anything is written, or
// replaced in one step each, so that a server that follows them never reads half of one.
func writeNew(replace bool, files ...newFile) error {
	for _, f := range files {
		info, err := os.Lstat(f.name)
		switch {
		case err != nil: // none, or writing will tell
		case info.IsDir():
			return fmt.Errorf("%s is a directory; name a file in it", f.name)
		case !replace:
			return fmt.Errorf("%s exists already; to replace it, say --force", f.name)
		}
	}
	for _, f := range files {
		if err := f.write(); err != nil {
			return err
		}
	}
	return nil
}

// write replaces the file by way of a new one beside it.
func (f newFile) write() error {
	next, err := os.CreateTemp(filepath.Dir(f.name), "."+filepath.Base(f.name)+".*")
	if err != nil {
		return err
	}
	_, err = next.Write(f.content)
	err = errors.Join(err, next.Chmod(f.mode), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), f.name)
	}
	if err != nil {
		_ = os.Remove(next.Name())
	}
	return err
}
