package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containernetworking/cni/pkg/types"
)

// A FieldError says which value of a configuration is wrong, and what would be
// right.
type FieldError struct {
	Field    string // path of the key, such as "ipam.type"
	Value    string // as it was given
	Accepted string // what the field accepts
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s: accepted: %s", e.Field, e.Value, e.Accepted)
}

// invalid makes an error of code 7 of the CNI specification from a FieldError
// or any other complaint about the network configuration.
func invalid(err error) error {
	return types.NewError(types.ErrInvalidNetworkConfig, "invalid network configuration", err.Error())
}

// abbreviate keeps a value that an error quotes to a readable length.
func abbreviate(raw json.RawMessage) string {
	const most = 80
	if len(raw) > most {
		return string(bytes.ToValidUTF8(raw[:most], nil)) + "…"
	}
	return string(raw)
}

// A member is one key of a JSON object with its value as it was written.
type member struct {
	key   string
	value json.RawMessage
}

// members takes a JSON object apart, in order. Unlike json.Unmarshal it keeps
// the case of keys and refuses a key that comes twice: of two values, another
// reader of the same file could take the other one.
func members(data []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var list []member
	seen := make(map[string]bool)
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		m := member{key: tok.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("%s: not JSON: %w", m.key, err)
		}
		if seen[m.key] {
			return nil, &FieldError{m.key, abbreviate(m.value), "a key that comes once"}
		}
		seen[m.key] = true
		list = append(list, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("data after the JSON object")
	}
	return list, nil
}
