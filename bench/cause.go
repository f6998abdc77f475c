package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// failureCause says in a few words why a connection could not be opened. It is the same
// for all that fail for the same reason.
func failureCause(err error) string {
	var handshake *engine.HandshakeError
	var dns *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var alert tls.AlertError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &handshake) && handshake.Status != 0 && handshake.Status != 101:
		return fmt.Sprintf("status %d", handshake.Status)
	case errors.As(err, &handshake):
		return "handshake: " + handshake.Reason
	case errors.As(err, &dns):
		return "name look-up failed"
	case errors.As(err, &untrusted):
		return "certificate not trusted: " + untrusted.Err.Error()
	case errors.As(err, &alert):
		return "TLS alert: " + alert.Error()
	case errors.As(err, &plain):
		return "no TLS spoken there"
	case errors.Is(err, engine.ErrHandshakeTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "handshake timed out"
	case errors.Is(err, engine.ErrTooManyConnections), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "out of descriptors here"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE):
		return "out of ports here"
	}
	return systemCause(err)
}

// causeUnanswered is that of a connection whose server left our close frame unanswered.
const causeUnanswered = "close frame not answered"

// dropCause says why a connection ended.
func dropCause(s handler.CloseStatus) string {
	if errors.Is(s.Err, handler.ErrCloseTimeout) {
		return causeUnanswered
	}
	if s.Err != nil {
		return systemCause(s.Err)
	}
	if s.Code == 1006 {
		return "hung up without a close frame"
	}
	return fmt.Sprintf("closed with %d", s.Code)
}

// systemCause is the innermost system error, or all of the text.
func systemCause(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "hung up"
	}
	return err.Error()
}
