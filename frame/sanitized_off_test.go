//go:build !pool_sanitize

package frame

const sanitized = false
