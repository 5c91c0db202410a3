package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tcpcni/tcpcni/plugin"
)

// settingsFile configures the runtime wrapper: managers start it with arguments
// and an environment of their own.
const settingsFile = "/etc/tcpcni/runc.json"

// settings are the file's content. All of it may be missing.
type settings struct {
	Runtime  string `json:"runtime"`  // path of the real runtime
	StateDir string `json:"stateDir"` // instead of TCPCNI_STATE or the default
	// Attach puts an engine behind the interface that the manager's own network
	// gives a container without a sandbox, as "uplink":"chained" does.
	Attach bool `json:"attach"`
	// Network is more of that attachment's configuration: profile, tunables, …
	Network map[string]json.RawMessage `json:"network"`
}

func readSettings(path string) (*settings, error) {
	s := new(settings)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(s); err != nil {
			return nil, fmt.Errorf("%s: %w: accepted: runtime, stateDir, attach, network", path, err)
		}
		for _, f := range []struct{ name, value string }{{"runtime", s.Runtime}, {"stateDir", s.StateDir}} {
			if f.value != "" && !filepath.IsAbs(f.value) {
				return nil, fmt.Errorf("%s: %s: %q: accepted: an absolute path", path, f.name, f.value)
			}
		}
	}
	if s.StateDir == "" || os.Getenv(plugin.StateEnv) != "" {
		if s.StateDir, err = plugin.StateDir(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// log writes an error where the manager looks for the runtime's: its own log
// file, in the form that it asked for.
func (l *runtimeLine) log(err error) {
	if l.logFile == "" {
		return
	}
	f, openErr := os.OpenFile(l.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if openErr != nil {
		return
	}
	defer func() { _ = f.Close() }()
	msg, now := "tcpcni runc: "+err.Error(), time.Now().Format(time.RFC3339)
	if !l.logJSON {
		fmt.Fprintf(f, "time=%q level=error msg=%q\n", now, msg)
		return
	}
	_ = json.NewEncoder(f).Encode(map[string]string{"level": "error", "msg": msg, "time": now})
}
