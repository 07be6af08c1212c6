package layouts

import (
	"bytes"
	"encoding/csv"
	"path"
	"strings"
	"unicode/utf8"
)

// formats are in the order in which they are asked: one that a file's own words name comes before
// one that is told by the look of its members.
var formats = []format{
	{"comfyui", isGraph, readGraph},
	{"comfyui-workflow", isWorkflow, readWorkflow},
	{"a1111", isParameters, readParameters},
	{"ideogram-4", isIdeogram, readIdeogram},
	{"flux-3", isFlux3, readFlux3},
	{"comfyui-boxes", isComfyBoxes, readComfyBoxes},
	{"editor-boxes", isEditorBoxes, readEditorBoxes},
	{"omost", isOmost, readOmost},
	{"llm-grounded-diffusion", isLMD, readLMD},
	{"layoutgpt", isLayoutGPT, readLayoutGPT},
	{"nsr-1k", isNSR, readNSR},
	{"rag-diffusion", isRAG, readRAG},
	{"regional-prompting-flux", isRegionalFlux, readRegionalFlux},
	{"hidream-o1", isHiDream, readHiDream},
	{"contextgen", isContextGen, readContextGen},
	{"seg2any", isSeg2Any, readSeg2Any},
	{"eligen-dataset", isEliGen, readEliGen},
	{"occlusionformer", isOcclusion, readOcclusion},
	{"instancediffusion", isInstance, readInstance},
	{"cobench-csv", isCoBench, readCoBench},
	{"coco-mig", isMIG, readMIG},
	{"geneval", isGenEval, readGenEval},
	{"coco", isCOCO, readCOCO},
	{"coco-results", isResults, readResults},
	{"label-studio", isLabelStudio, readLabelStudio},
	{"labelme-json", isLabelMeJSON, readLabelMeJSON},
	{"labelme-xml", isLabelMeXML, readLabelMeXML},
	{"createml", isCreateML, readCreateML},
	{"cvat-images", isCVATImages, readCVATImages},
	{"cvat-video", isCVATVideo, readCVATVideo},
	{"pascal-voc", isVOC, readVOC},
	{"yolo-obb", isYOLOOBB, readYOLOOBB},
	{"yolo", isYOLO, readYOLO},
	{"t2i-compbench", isPromptLines, readPromptLines},
}

// open reads a file as all that it can be.
func open(src *Source) *content {
	c := &content{Source: src, ext: strings.ToLower(path.Ext(src.Name))}
	data := bytes.TrimPrefix(src.Data, []byte("\xef\xbb\xbf"))
	if chunks, err := chunksOf(data); chunks != nil || err != nil {
		c.chunks, c.bad = chunks, err
		return c
	}
	trimmed := bytes.TrimSpace(data)
	if !utf8.Valid(trimmed) || len(trimmed) == 0 {
		return c
	}
	switch trimmed[0] {
	case '{', '[':
		if c.openJSON(trimmed); c.bad == nil {
			return c
		}
		c.openLabels(trimmed) // rows of words may begin with a bracket
		return c
	case '<':
		c.xml, c.bad = parseXML(trimmed)
		return c
	}
	c.openLabels(trimmed)
	return c
}

// openJSON reads one JSON value, or one a line.
func (c *content) openJSON(data []byte) {
	v, rest, err := parseJSON(data)
	rest = bytes.TrimSpace(rest)
	if err != nil {
		c.bad = err
		return
	}
	if len(rest) == 0 {
		c.json = v
		return
	}
	if v.isList() { // rows before their caption
		c.tail, c.words = v, string(rest)
		return
	}
	list := value{kind: 'a', arr: []value{v}}
	for len(rest) > 0 {
		if v, rest, err = parseJSON(rest); err != nil || len(list.arr) > maxScenes {
			c.bad = err
			return
		}
		list.arr, rest = append(list.arr, v), bytes.TrimSpace(rest)
	}
	c.json, c.lines = list, true
}

// openLabels reads words with rows of JSON at their end, CSV and YAML.
func (c *content) openLabels(data []byte) {
	s := string(data)
	if i := strings.Index(s, "[{"); i > 0 {
		if v, rest, err := parseJSON(data[i:]); err == nil && len(bytes.TrimSpace(rest)) == 0 {
			c.tail, c.words, c.bad = v, strings.TrimSpace(s[:i]), nil
			return
		}
	} else if i := strings.LastIndex(s, "["); i > 0 {
		if v, rest, err := parseJSON(data[i:]); err == nil && len(bytes.TrimSpace(rest)) == 0 && v.isList() {
			if first := v.first(); first.isObj() {
				c.tail, c.words, c.bad = v, strings.TrimSpace(s[:i]), nil
				return
			}
		}
	}
	if c.bad != nil {
		return
	}
	if c.ext == ".yaml" || c.ext == ".yml" {
		c.yaml, c.bad = parseYAML(data)
		return
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	if first, _, _ := strings.Cut(s, "\n"); strings.Contains(first, ",") || strings.Contains(first, "\t") {
		if !strings.Contains(first, ",") {
			r.Comma = '\t'
		}
		if rows, err := r.ReadAll(); err == nil && len(rows) > 1 && len(rows) < maxScenes {
			c.rows = rows
		}
	}
}

// first returns a list's first value, or an object's self.
func (v value) first() value {
	if v.isList() && len(v.arr) > 0 {
		return v.arr[0]
	}
	if v.isObj() {
		return v
	}
	return value{}
}

// records returns a list's values, or a single object's.
func (v value) records() []value {
	if v.isList() {
		return v.arr
	}
	return []value{v}
}
