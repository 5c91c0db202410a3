package plugin

// Settings of one pod, by its annotations: a part of what the configuration can
// say, and of that only what the operator allows.

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/sockopt"
)

// annotationDomain is before the name of a setting. Annotations of other domains
// are somebody else's.
const annotationDomain = "tcpcni.dev/"

// defaultAllowed is what annotations may set when the configuration says nothing:
// socket options that a program can set by itself without a capability. A pod
// gains nothing by them that its programs could not do.
var defaultAllowed = []string{"congestion", "socket-options.*"}

// An annotation is a setting that a pod may have.
type annotation struct {
	name  string
	plain bool // the value is a word, not JSON
	free  bool // the allow-list is not asked here: some values only tighten
	shape func() shape

	// items are the names within a value that the allow-list speaks of; nil: the
	// setting is allowed as a whole.
	items func(raw json.RawMessage) []string
	read  func(c *Config, field string, raw json.RawMessage) error
}

// annotations are in the order in which they count: the profile decides what
// tunables there are, and of socket options the later ones win.
var annotations = []annotation{
	{name: "profile", plain: true, shape: shapeOf("profile"), read: into(func(c *Config) *string { return &c.Profile })},
	{name: "mtu", shape: shapeOf("mtu"), read: annotateMTU},
	{name: "bandwidth", shape: shapeOf("bandwidth"), read: readBandwidth},
	{name: "tunables", shape: shapeOf("tunables"), items: tunableItems, read: annotateTunables},
	{name: "congestion", plain: true, read: annotateCongestion,
		shape: func() shape { return word(congestions()) }},
	{name: "intercept", plain: true, free: true, shape: func() shape { return oneOf(InterceptValues...) },
		read: into(func(c *Config) *string { return &c.interception.annotation })},
	{name: "socket-options", shape: shapeOf("socketOptions"), items: optionItems, read: annotateOptions},
}

func shapeOf(name string) func() shape {
	return func() shape { return find(keys(), name).shape }
}

func findAnnotation(list []annotation, name string) *annotation {
	i := slices.IndexFunc(list, func(a annotation) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// annotate applies the pod's annotations.
func (c *Config) annotate() error {
	names := slices.Sorted(maps.Keys(c.annotations))
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, annotationDomain)
	})
	for _, name := range names {
		if findAnnotation(annotations, strings.TrimPrefix(name, annotationDomain)) == nil {
			return &FieldError{"annotation " + name, quote(c.annotations[name]), "one of the settings " + settingNames()}
		}
	}
	for i := range annotations {
		a := &annotations[i]
		value, there := c.annotations[annotationDomain+a.name]
		if !there {
			continue
		}
		if err := a.apply(c, "annotation "+annotationDomain+a.name, value); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := c.checkStack(); err != nil {
		return fmt.Errorf("with the annotations %s: %w", strings.Join(names, ", "), err)
	}
	return nil
}

func settingNames() string {
	var list []string
	for _, a := range annotations {
		list = append(list, a.name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (a *annotation) apply(c *Config, field, value string) error {
	raw := json.RawMessage(strings.TrimSpace(value))
	if a.plain {
		raw, _ = json.Marshal(value)
	}
	s := a.shape()
	if !json.Valid(raw) {
		return &FieldError{field, abbreviate(json.RawMessage(quote(value))), s.accepted + ", as JSON"}
	}
	if !a.free && !c.mayHave(a.name) {
		return c.forbidden(field, abbreviate(raw))
	}
	if err := s.verify(field, raw); err != nil {
		return err
	}
	if a.items != nil {
		for _, item := range a.items(raw) {
			if !c.allows(a.name, item) {
				return c.forbidden(field, quote(item))
			}
		}
	}
	return a.read(c, field, raw)
}

func (c *Config) forbidden(field, value string) error {
	accepted := "what podAnnotations of the network configuration allows: " + strings.Join(c.Allowed, ", ")
	if len(c.Allowed) == 0 {
		accepted = "nothing, since podAnnotations of the network configuration is empty"
	}
	return &FieldError{field, value, accepted}
}

// mayHave reports whether the allow-list speaks of the setting at all.
func (c *Config) mayHave(setting string) bool {
	return slices.ContainsFunc(c.Allowed, func(rule string) bool {
		name, _, _ := strings.Cut(rule, ".")
		return name == setting
	})
}

// allows reports whether the allow-list has the item of a setting.
func (c *Config) allows(setting, item string) bool {
	return slices.ContainsFunc(c.Allowed, func(rule string) bool {
		name, pattern, some := strings.Cut(rule, ".")
		return name == setting && (!some || matches(pattern, item))
	})
}

// matches reports whether a pattern of the allow-list has the name. A tunable
// goes by both its names.
func matches(pattern, name string) bool {
	for _, n := range []string{name, sockopt.OtherTunableName(name)} {
		if ok, err := path.Match(pattern, n); ok && err == nil {
			return true
		}
	}
	return false
}

// allowShape is that of podAnnotations.
func allowShape() shape {
	const accepted = `"profile", "mtu", "bandwidth", "congestion", "intercept", "tunables.NAME" or "socket-options.NAME", where NAME may have "*" for any characters`
	rule := strOf(`^(profile|mtu|bandwidth|congestion|intercept|tunables(\.[A-Za-z0-9_.*]+)?|socket-options(\.[A-Z0-9_*]+)?)$`, accepted).
		checked(func(field string, raw json.RawMessage) error {
			setting, pattern, some := strings.Cut(text(raw), ".")
			if some && !slices.ContainsFunc(itemNames(setting), func(name string) bool { return matches(pattern, name) }) {
				return &FieldError{field, string(raw), accepted + "; this one fits no name"}
			}
			return nil
		})
	return listOf("a list of "+accepted, rule).is("what annotations of a pod may set, each in the domain tcpcni.dev")
}

// itemNames are the names that an item of the setting may have.
func itemNames(setting string) (names []string) {
	for _, profile := range sockopt.ProfileNames() {
		p := profileOf(profile)
		if setting == "tunables" {
			for _, t := range p.TunableTable() {
				if !t.ReadOnly {
					names = append(names, t.Short)
				}
			}
			continue
		}
		for _, r := range p.DefaultRows() {
			names = append(names, r.Name)
		}
	}
	return names
}

func tunableItems(raw json.RawMessage) []string { return slices.Sorted(maps.Keys(scalars(raw))) }

func optionItems(raw json.RawMessage) (names []string) {
	for _, r := range socketRules(raw, true) {
		names = append(names, slices.Sorted(maps.Keys(r.Set))...)
	}
	return names
}

func annotateMTU(c *Config, field string, raw json.RawMessage) error {
	if c.Uplink == UplinkChained {
		return &FieldError{field, string(raw), `no value, since "uplink" is "chained" and the plugin before has chosen the MTU`}
	}
	return json.Unmarshal(raw, &c.MTU)
}

func annotateTunables(c *Config, field string, raw json.RawMessage) error {
	set := scalars(raw)
	p, err := sockopt.ProfileByName(c.profileName())
	if err != nil {
		return err
	}
	if _, err := sockopt.NewTunables(p, set); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	own, err := p.Overlay(c.Tunables, set)
	if err != nil {
		own = c.Tunables // not for this profile: the check of the whole says why
	}
	merged := make(map[string]string)
	for _, from := range []map[string]string{own, set} {
		for name, value := range from {
			delete(merged, sockopt.OtherTunableName(name)) // the pod's value, whichever name it goes by
			merged[name] = value
		}
	}
	c.Tunables = merged
	return nil
}

func annotateCongestion(c *Config, field string, raw json.RawMessage) error {
	return c.addRules(field, []engine.SocketRule{{Set: map[string]string{"TCP_CONGESTION": text(raw)}, Unprivileged: true}})
}

func annotateOptions(c *Config, field string, raw json.RawMessage) error {
	return c.addRules(field, socketRules(raw, true))
}

// addRules appends a pod's rules to the operator's: the later ones win.
func (c *Config) addRules(field string, rules []engine.SocketRule) error {
	p, err := sockopt.ProfileByName(c.profileName())
	if err != nil {
		return err
	}
	if _, err := engine.NewDefaults(p, rules); err != nil {
		return fmt.Errorf("%s%w", field, err)
	}
	c.SocketOptions = append(slices.Clip(c.SocketOptions), rules...)
	return nil
}
