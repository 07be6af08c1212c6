package layouts

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads a YAML file. Aliases are refused: layouts need none, and they can grow without end.
func parseYAML(data []byte) (value, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		return value{}, err
	}
	left := maxValues
	return yamlValue(&n, 0, &left)
}

func yamlValue(n *yaml.Node, depth int, left *int) (value, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return value{}, errTooMuch
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return yamlValue(n.Content[0], depth+1, left)
		}
	case yaml.AliasNode:
		return value{}, fmt.Errorf("line %d: an alias (*%s); write the value", n.Line, n.Value)
	case yaml.SequenceNode:
		v := value{kind: 'a'}
		for _, c := range n.Content {
			e, err := yamlValue(c, depth+1, left)
			if err != nil {
				return value{}, err
			}
			v.arr = append(v.arr, e)
		}
		return v, nil
	case yaml.MappingNode:
		v := value{kind: 'o'}
		for i := 0; i+1 < len(n.Content); i += 2 {
			e, err := yamlValue(n.Content[i+1], depth+1, left)
			if err != nil {
				return value{}, err
			}
			v.obj = append(v.obj, member{n.Content[i].Value, e})
		}
		return v, nil
	case yaml.ScalarNode:
		return yamlScalar(n), nil
	}
	return value{}, errors.New("the file is empty")
}

func yamlScalar(n *yaml.Node) value {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return value{kind: 'n', num: strings.ReplaceAll(n.Value, "_", "")}
	case "!!bool":
		return value{kind: 'b', yes: strings.EqualFold(n.Value, "true")}
	case "!!null":
		return value{kind: '0'}
	}
	return value{kind: 's', str: n.Value}
}

// A node is an element of XML.
type node struct {
	name  string
	attrs map[string]string
	text  string
	kids  []*node
}

// parseXML reads an XML file. encoding/xml knows no entities but XML's own, so that none grows.
func parseXML(data []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") || strings.EqualFold(charset, "ascii") {
			return in, nil
		}
		return nil, fmt.Errorf("the encoding %s; save the file as UTF-8", charset)
	}
	root := &node{}
	open, left := []*node{root}, maxValues
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			if left -= 1 + len(t.Attr); left < 0 || len(open) > maxDepth {
				return nil, errTooMuch
			}
			top := open[len(open)-1]
			top.kids, open = append(top.kids, n), append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			open[len(open)-1].text += string(t)
		}
	}
	if len(root.kids) != 1 {
		return nil, errors.New("there is no single root element")
	}
	return root.kids[0], nil
}

// kid returns the first child element of a name at the end of a path, or an empty one.
func (n *node) kid(names ...string) *node {
	for _, name := range names {
		next := &node{}
		for _, k := range n.kids {
			if k.name == name {
				next = k
				break
			}
		}
		n = next
	}
	return n
}

func (n *node) all(name string) (out []*node) {
	for _, k := range n.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

func (n *node) trimmed() string { return strings.TrimSpace(n.text) }

// value returns the element's text as a value, so that numbers are read in one place.
func (n *node) value() value {
	if n.name == "" {
		return value{}
	}
	return value{kind: 's', str: n.trimmed()}
}

func (n *node) attr(name string) value {
	s, ok := n.attrs[name]
	if !ok {
		return value{}
	}
	return value{kind: 's', str: strings.TrimSpace(s)}
}

// parsePython reads a Python literal of lists, tuples, dictionaries, strings and numbers, and
// returns what follows it.
func parsePython(s string) (value, string, error) {
	p := &python{s: s, left: maxValues}
	v, err := p.value(0)
	return v, p.s, err
}

type python struct {
	s    string
	left int
}

var errPython = errors.New("it is no Python literal")

func (p *python) space() { p.s = strings.TrimLeftFunc(p.s, unicode.IsSpace) }

func (p *python) value(depth int) (value, error) {
	if p.left--; p.left < 0 || depth > maxDepth {
		return value{}, errTooMuch
	}
	p.space()
	if p.s == "" {
		return value{}, errPython
	}
	switch c := p.s[0]; c {
	case '[', '(':
		return p.list(depth, map[byte]byte{'[': ']', '(': ')'}[c])
	case '{':
		return p.dict(depth)
	case '\'', '"':
		return p.quoted(c)
	}
	for word, v := range map[string]value{"None": {kind: '0'}, "True": {kind: 'b', yes: true}, "False": {kind: 'b'}} {
		if rest, ok := strings.CutPrefix(p.s, word); ok {
			p.s = rest
			return v, nil
		}
	}
	n := strings.IndexFunc(p.s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) })
	if n < 0 {
		n = len(p.s)
	}
	if _, err := strconv.ParseFloat(p.s[:n], 64); err != nil {
		return value{}, errPython
	}
	v := value{kind: 'n', num: p.s[:n]}
	p.s = p.s[n:]
	return v, nil
}

func (p *python) list(depth int, end byte) (value, error) {
	v := value{kind: 'a'}
	p.s = p.s[1:]
	for {
		p.space()
		if p.s == "" {
			return value{}, errPython
		}
		if p.s[0] == end {
			p.s = p.s[1:]
			return v, nil
		}
		e, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.arr = append(v.arr, e)
		if err := p.next(end); err != nil {
			return value{}, err
		}
	}
}

func (p *python) dict(depth int) (value, error) {
	v := value{kind: 'o'}
	p.s = p.s[1:]
	for {
		p.space()
		if p.s == "" {
			return value{}, errPython
		}
		if p.s[0] == '}' {
			p.s = p.s[1:]
			return v, nil
		}
		k, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		p.space()
		if !strings.HasPrefix(p.s, ":") {
			return value{}, errPython
		}
		p.s = p.s[1:]
		e, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.obj = append(v.obj, member{k.text(), e})
		if err := p.next('}'); err != nil {
			return value{}, err
		}
	}
}

// next goes over a comma, or stays before the end.
func (p *python) next(end byte) error {
	p.space()
	if p.s == "" || p.s[0] != ',' && p.s[0] != end {
		return errPython
	}
	if p.s[0] == ',' {
		p.s = p.s[1:]
	}
	return nil
}

func (p *python) quoted(q byte) (value, error) {
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == q:
			p.s = p.s[i+1:]
			return value{kind: 's', str: b.String()}, nil
		case c == '\\' && i+1 < len(p.s):
			i++
			if e, ok := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r'}[p.s[i]]; ok {
				b.WriteByte(e)
			} else {
				b.WriteByte(p.s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return value{}, errPython
}
