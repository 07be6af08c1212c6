package dsl

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Markdown returns the language as a page to read.
func (r Reference) Markdown() string {
	var b strings.Builder
	b.WriteString("# The language\n\n")
	paragraph(&b, "", "This page is made from the declarations that eligen reads scenes by; `eligen schema` prints it, "+
		"and `eligen schema --json` the same for programs.")
	b.WriteString("\n")
	paragraph(&b, "", "A scene is one file in [HCL](https://github.com/hashicorp/hcl), or in HCL's JSON syntax if its name ends in "+
		"`.json`. Paths are relative to its folder. References have no quotes: `entity.dog`, `render.poster[\"dawn\"]`, `var.size`.")
	b.WriteString("\n## Blocks\n")
	for _, block := range r.Blocks {
		block.markdown(&b, "###", "")
	}
	if later := laterWords(topGrammar); len(later) > 0 {
		b.WriteString("\n## Not in this release\n\n")
		paragraph(&b, "", "eligen refuses these blocks for now: `"+strings.Join(later, "`, `")+"`.")
	}
	b.WriteString("\n## Functions\n\n")
	paragraph(&b, "", "Functions that Terraform has, too, work as there. Coordinates are fractions of the canvas, from its "+
		"upper left corner; `px(…)` makes them pixels.")
	group := ""
	for _, f := range r.Functions {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n### %s\n\n", capital(group))
		}
		paragraph(&b, "* ", fmt.Sprintf("`%s`: %s", f.Call, f.What))
	}
	b.WriteString("\n## Limits\n\n")
	paragraph(&b, "", "eligen refuses whatever exceeds a limit, at its line, before it costs much: it counts what expressions "+
		"cost while it evaluates them, and what a call costs before it makes it. A step takes roughly 50 ns.")
	b.WriteString("\n| | at most |\n| --- | --- |\n")
	for _, l := range r.Limits {
		most := fmt.Sprint(l.Most)
		if strings.HasPrefix(l.What, "bytes") {
			most = fmt.Sprintf("%d MiB", l.Most>>20)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", l.What, most)
	}
	return b.String()
}

func (s BlockSchema) markdown(b *strings.Builder, level, outer string) {
	fmt.Fprintf(b, "\n%s `%s`%s\n\n", level, s.Type+labels(s.Labels), outer)
	for i, text := range strings.Split(s.What, "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		paragraph(b, "", text)
	}
	if example, ok := blockExamples[s.Type]; ok && outer == "" {
		fmt.Fprintf(b, "\n```hcl\n%s\n```\n", strings.TrimSpace(example))
	}
	for i, a := range s.Arguments {
		if i == 0 {
			b.WriteString("\n")
		}
		name := "`" + a.Name + "`"
		if a.Required {
			name += " (required)"
		}
		paragraph(b, "* ", name+": "+a.What)
	}
	if len(s.Later) > 0 {
		b.WriteString("\n")
		paragraph(b, "", "Not in this release: `"+strings.Join(s.Later, "`, `")+"`.")
	}
	for _, a := range s.Never {
		b.WriteString("\n")
		paragraph(b, "", fmt.Sprintf("There is no `%s`. %s", a.Name, a.What))
	}
	for _, inner := range s.Blocks {
		inner.markdown(b, level+"#", " in "+s.Type)
	}
}

// pageWidth is how many characters a line of the page has at most.
const pageWidth = 120

// markers begin a line that Markdown reads as something else than a paragraph.
var markers = regexp.MustCompile(`^([-+*>#|=]|\d+[.)])`)

// paragraph writes a text in lines of pageWidth, behind a mark such as "* ".
func paragraph(b *strings.Builder, mark, text string) {
	line, indent := mark, strings.Repeat(" ", len(mark))
	for _, word := range strings.Fields(text) {
		switch {
		case line == mark || line == indent:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > pageWidth && !markers.MatchString(word):
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	b.WriteString(line + "\n")
}
