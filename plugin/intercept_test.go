package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// TestInterception: who asks, what comes of it, and who may say no.
func TestInterception(t *testing.T) {
	const named, all = `{"namespaces":["other","chosen"]}`, `{"required":true}`
	for _, c := range []struct {
		what, key, annotation, namespace, allow string
		want                                    string
		code                                    uint
		says                                    string
	}{
		{what: "nothing", namespace: "default"},
		{what: "no Kubernetes", key: named},
		{what: "annotation", annotation: "true", namespace: "default", want: InterceptNRI},
		{what: "annotation that only tightens", annotation: "required", namespace: "default", want: InterceptRequired},
		{what: "needless no", annotation: "false", namespace: "default"},
		{what: "misspelt", annotation: "yes", namespace: "default", code: types.ErrInvalidNetworkConfig, says: `"true", "required" or "false"`},
		{what: "namespace", key: named, namespace: "chosen", want: InterceptNRI},
		{what: "namespace by the plugin", namespace: "published", want: InterceptNRI},
		{what: "another namespace", key: named, namespace: "default"},
		{what: "namespace stays", key: named, annotation: "required", namespace: "chosen", want: InterceptNRI},
		{what: "no to the namespace", key: named, annotation: "false", namespace: "chosen", code: types.ErrInvalidNetworkConfig, says: `intercept.namespaces: "chosen"`},
		{what: "no to the plugin", annotation: "false", namespace: "published", code: types.ErrInvalidNetworkConfig, says: "--namespaces of tcpcni-nri"},
		{what: "a no that is allowed", key: named, annotation: "false", namespace: "chosen", allow: `["intercept"]`},
		{what: "all", key: all, namespace: "default", want: InterceptRequired},
		{what: "all, without Kubernetes", key: all, want: InterceptRequired},
		{what: "all, by the plugin", key: all, annotation: "true", namespace: "default", want: InterceptNRI},
		{what: "no to all", key: all, annotation: "false", namespace: "default", allow: `["congestion"]`, code: types.ErrInvalidNetworkConfig, says: "intercept.required"},
		{what: "a no to all that is allowed", key: all, annotation: "false", namespace: "default", allow: `["congestion","intercept"]`},
	} {
		var pairs, more []string
		if c.annotation != "" {
			pairs = []string{InterceptAnnotation, c.annotation}
		}
		if c.key != "" {
			more = append(more, "intercept", c.key)
		}
		if c.allow != "" {
			more = append(more, "podAnnotations", c.allow)
		}
		dir := t.TempDir()
		l, err := HoldNRI(context.Background(), dir, []string{"published"})
		if err != nil {
			t.Fatal(err)
		}
		settle := func() (*Config, error) {
			cfg, err := parseNetwork([]byte(annotated(t, pairs, more...)))
			if err != nil {
				t.Fatal(err)
			}
			if c.namespace != "" {
				err = cfg.readArgs("IgnoreUnknown=1;K8S_POD_NAMESPACE=" + c.namespace + ";K8S_POD_NAME=web")
			}
			if err = errors.Join(err, cfg.readAttachment()); err != nil {
				return cfg, invalid(err)
			}
			return cfg, cfg.settleInterception(dir)
		}
		cfg, err := settle()
		if c.code != 0 {
			if e := asError(errOr(err)); e.Code != c.code || !strings.Contains(e.Error(), c.says) {
				t.Errorf("%s: %v", c.what, err)
			}
		} else if err != nil || cfg.Intercept != c.want {
			t.Errorf("%s: %q, %v", c.what, cfg.Intercept, err)
		}
		// The plugin goes away: its pods wait, the others do not.
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
		if c.code != 0 {
			continue
		}
		_, err = settle()
		if c.want != InterceptNRI {
			if err != nil {
				t.Errorf("%s, plugin away: %v", c.what, err)
			}
			continue
		}
		if e := asError(errOr(err)); e.Code != types.ErrTryAgainLater || !strings.Contains(e.Error(), "pod "+c.namespace+"/web") || !strings.Contains(e.Error(), nriLock(dir)) {
			t.Errorf("%s, plugin away: %v", c.what, err)
		}
	}
}

// errOr stands for no error where one is expected.
func errOr(err error) error {
	if err == nil {
		return errors.New("accepted")
	}
	return err
}

// A list that cannot be read may hold any namespace.
func TestInterceptionUnreadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(nriList(dir), []byte(`{"namespaces":`), 0o600); err != nil {
		t.Fatal(err)
	}
	var c Config
	if e := asError(errOr(c.settleInterception(dir))); e.Code != types.ErrIOFailure || !strings.Contains(e.Error(), nriList(dir)) {
		t.Errorf("%v", e)
	}
}

// One NRI plugin serves, and those who ask are not taken for one.
func TestHoldNRI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first, err := HoldNRI(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := HoldNRI(over, dir, nil); !errors.Is(err, process.ErrLocked) || !strings.Contains(err.Error(), "one tcpcni-nri") {
		t.Errorf("a second one: %v", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	if second, err := HoldNRI(over, dir, nil); err != nil {
		t.Errorf("after the first: %v", err)
	} else if err := second.Unlock(); err != nil {
		t.Error(err)
	}
}

// ADD of a pod that is the NRI plugin's: refused while that is away, before
// anything is made, and without an inline path when it is there.
func TestAddInterception(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	t.Setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=chosen;K8S_POD_NAME=web")
	text := testConf("intercept", `{"namespaces":["chosen"]}`)
	h.fails("ADD", c, text, "pod chosen/web", "NRI plugin", "away")
	h.bare(c)
	if log := h.verbs(); log != "" {
		t.Errorf("IPAM was asked: %q", log)
	}
	h.must("DEL", c, text) // as runtimes do after an ADD that failed

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l, err := HoldNRI(ctx, h.state, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.must("ADD", c, text)
	s := SandboxAt(h.state, c.id, "eth0")
	if rec, err := s.Record(); err != nil || rec.Intercept != InterceptNRI {
		t.Errorf("record %+v, %v", rec, err)
	}
	var cfg engine.Config
	b, err := os.ReadFile(s.configPath())
	if err = errors.Join(err, json.Unmarshal(b, &cfg)); err != nil || !cfg.RefusePlain {
		t.Errorf("the engine does not refuse plain programs: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	h.must("DEL", c, text)
	h.bare(c)
}
