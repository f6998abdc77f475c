package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestRunWithWrongArguments(t *testing.T) {
	const commandList = "the commands are serve, dial, cert, bench, client-js, version and help"
	tests := []struct {
		args string // separated by spaces
		want string // in the one sentence that is said
	}{
		{"", "a command is missing; " + commandList},
		{"serv", `there is no command "serv", perhaps serve is meant; ` + commandList},
		{"evrsion", `there is no command "evrsion", perhaps version is meant; ` + commandList},
		{"fly", `there is no command "fly"; ` + commandList},
		{"--workers 3", `there is no command "--workers"; ` + commandList},
		{"help fly", `there is no command "fly"; ` + commandList},
		{"help serve version", "help explains one command at a time, not 2; " + commandList},
		{"version now", `version takes no argument, such as "now"`},
		{"version --verbose", `version has no flag --verbose; "weir help version" tells those it has`},

		{"serve 127.0.0.1:80", `serve takes flags only, not the argument "127.0.0.1:80"; to listen elsewhere, say --address`},
		{"serve -- x", `serve takes flags only, not the argument "x"; to listen elsewhere, say --address`},
		{"serve --adress x", "serve has no flag --adress; did you mean --address?"},
		{"serve --wrokers=2", "serve has no flag --wrokers; did you mean --workers?"},
		{"serve --colour", `serve has no flag --colour; "weir help serve" tells those it has`},
		{"serve ---loops 1", "serve has no flag ---loops; did you mean --loops?"},
		{"serve --workers", "--workers needs a value; it must be a whole number from 1 to 1048576"},
		{"serve --workers many", `--workers is "many"; it must be a whole number from 1 to 1048576`},
		{"serve --workers 0", `--workers is "0"; it must be a whole number from 1 to 1048576`},
		{"serve --workers -5", `--workers is "-5"; it must be a whole number from 1 to 1048576`},
		{"serve --workers=", `--workers is ""; it must be a whole number from 1 to 1048576`},
		{"serve --loops 1025", `--loops is "1025"; it must be a whole number from 1 to 1024`},
		{"serve --max-connections 99999999999999999999", `--max-connections is "99999999999999999999"; it must be a whole number from 1 to 16777216`},
		{"serve --max-message 1MiB", `--max-message is "1MiB"; it must be a whole number from 1 to 2147483647`},
		{"serve --max-header 0", `--max-header is "0"; it must be a whole number from 1 to 2147483647`},
		{"serve --inbox x", `--inbox is "x"; it must be a whole number`},
		{"serve --outbox-soft x", `--outbox-soft is "x"; it must be a whole number`},
		{"serve --outbox-hard x", `--outbox-hard is "x"; it must be a whole number`},
		{"serve --outbox-soft 2000 --outbox-hard 1000", "--outbox-hard 1000 is below --outbox-soft 2000; it must be at least that"},
		{"serve --outbox-hard 1000", "--outbox-hard 1000 is below --outbox-soft 262144; it must be at least that"},
		{"serve --header-timeout 10", `--header-timeout is "10"; it must be a duration with its unit from 1ms to 240h0m0s, such as 20s or 1m30s`},
		{"serve --header-timeout 0", `--header-timeout is "0"; it must be a duration with its unit`},
		{"serve --close-timeout 1us", `--close-timeout is "1us"; it must be a duration with its unit`},
		{"serve --drain-time -1s", `--drain-time is "-1s"; it must be a duration with its unit`},
		{"serve --ping-interval -1s", `--ping-interval is "-1s"; it must be 0 or a duration with its unit`},
		{"serve --pong-timeout 241h", `--pong-timeout is "241h"; it must be 0 or a duration with its unit`},
		{"serve --idle-timeout soon", `--idle-timeout is "soon"; it must be 0 or a duration with its unit`},
		{"serve --slow-timeout 5", `--slow-timeout is "5"; it must be 0 or a duration with its unit`},
		{"serve --handlers thread", `--handlers is "thread"; it must be workers, service or loop`},
		{"serve --network udp", `--network is "udp"; it must be tcp, tcp4, tcp6 or unix`},
		{"serve --network unix", "--network unix needs --address, the path of the socket"},
		{"serve --network unix --address /tmp/x --reuse-port", "--reuse-port needs a TCP port; with --network unix leave it out"},
		{"serve --address=", `--address is ""; it must be host:port, or the path of a unix socket`},
		{"serve --address 7681", `--address is "7681"; with --network tcp it must be host:port, such as 127.0.0.1:7681 or :7681`},
		{"serve --address localhost:", `--address is "localhost:"; with --network tcp it must be host:port`},
		{"serve --address localhost:70000", `--address is "localhost:70000"; with --network tcp it must be host:port`},
		{"serve --address /tmp/x", `--address is "/tmp/x"; with --network tcp it must be host:port`},
		{"serve --reuse-port=maybe", `--reuse-port is "maybe"; it must be true or false`},
		{"serve --origin https://", `--origin is "https://"; it must be an origin such as https://example.com`},
		{"serve --subprotocol a,b", `--subprotocol is "a,b"; it must be a token, such as chat.v1`},
		{"serve --compression=yes", `--compression is "yes"; it must be true or false`},
		{"serve --compression --compression-level 10", `--compression-level is "10"; it must be a whole number from 1 to 9`},
		{"serve --max-inflate-ratio 0", `--max-inflate-ratio is "0"; it must be a whole number from 1 to 2147483647`},
		{"serve --max-inflate-ratio 50", "--max-inflate-ratio needs --compression, which is off"},
		{"serve --compression-level 3", "--compression-level needs --compression, which is off"},
		{"serve --compression-threshold 3", "--compression-threshold needs --compression, which is off"},
		{"serve --feed-history-count 5", "--feed-history-count needs --feed, which is off"},
		{"serve --feed-publish-key x", "--feed-publish-key needs --feed, which is off"},
		{"serve --feed --feed-history-bytes 0", `--feed-history-bytes is "0"; it must be a whole number from 1 to 2147483647`},
		{"serve --feed --feed-history-age 5", `--feed-history-age is "5"; it must be 0 or a duration with its unit`},
		{"serve --feed --max-message 2097153", "--max-message is 2097153; with --feed it must be at most half of --outbox-hard, which is 4194304"},
		{"serve --feed --outbox-hard 2097151", "--max-message is 1048576; with --feed it must be at most half of --outbox-hard, which is 2097151"},
		{"serve --feed --feed-topics x", `--feed-topics is "x"; it must be a whole number from 1 to 16777216`},
		{"serve --feed --feed-subscribe-key=", `--feed-subscribe-key is ""; it must be the path of a file`},
		{"serve --tls-cert=", `--tls-cert is ""; it must be the path of a file in PEM`},
		{"serve --tls-cert x", "--tls-cert needs --tls-key, the key of that certificate"},
		{"serve --tls-key x", "--tls-key needs --tls-cert, the certificate of that key"},
		{"serve --tls-client-ca x", "--tls-client-ca needs --tls-cert and --tls-key, the certificate of the server"},
		{"cert example.com", `cert takes flags only, not the argument "example.com"; for another host, say --host`},
		{"cert --host a_b!", `--host is "a_b!"; it must be a host name or an IP address`},
		{"cert --days 0", `--days is "0"; it must be a whole number from 1 to 3650`},
		{"serve --log-level loud", `--log-level is "loud"; it must be info, debug, warn or error`},
		{"serve --log-format xml", `--log-format is "xml"; it must be text or json`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := call(t, strings.Fields(tt.args)...)
			if code != exitUsage || stdout != "" {
				t.Errorf("exit code %d, stdout %q; want %d, nothing", code, stdout, exitUsage)
			}
			if !strings.HasPrefix(stderr, "weir: "+tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("said %q; want one line that begins with %q", stderr, "weir: "+tt.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	tests := []struct {
		args string
		want []string
	}{
		{"help", []string{"usage: weir <command>", "dial ", "client-js ", "serve ", "bench ", "version "}},
		{"--help", []string{"usage: weir <command>"}},
		{"-h", []string{"usage: weir <command>"}},
		{"help help", []string{"usage: weir <command>"}},
		{"help version", []string{"usage: weir version"}},
		{"help serve", []string{
			"usage: weir serve [flags]\n",
			"--address address\n", "(default 127.0.0.1:7681)\n",
			"--max-message bytes\n", "(default 1048576)\n",
			"--ping-interval time\n", "(default 20s)\n",
			"--compression\n",
		}},
		{"help bench", []string{"usage: weir bench SCENARIO URL [flags]\n", "--threshold bound\n", "  echo "}},
		{"serve --loops 2 -help", []string{"usage: weir serve [flags]\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := call(t, strings.Fields(tt.args)...)
			if code != exitOK || stderr != "" {
				t.Errorf("exit code %d, stderr %q; want %d, nothing", code, stderr, exitOK)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is not in: %s", want, stdout)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := call(t, "version")
	if code != exitOK || !strings.HasPrefix(stdout, "weir ") || !strings.Contains(stdout, runtime.Version()) {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	tests := []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"no build information", nil, "(unknown)"},
		{"no version", &debug.BuildInfo{}, "(devel)"},
		{"released", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"in a checkout", &debug.BuildInfo{Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-21T08:00:00Z"}, {Key: "vcs.modified", Value: "true"},
		}}, "(devel) (commit 0123456789ab of 2026-11-21T08:00:00Z, modified)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := versionOf(tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
