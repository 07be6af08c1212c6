package studio_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pixel is a PNG of one pixel, bomb one that says it has 2³¹.
func pixel() string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err)
	}
	return b.String()
}

func bomb() string {
	b := []byte(pixel())
	binary.BigEndian.PutUint32(b[16:], 1<<16)
	binary.BigEndian.PutUint32(b[20:], 1<<15)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return string(b)
}

// TestHostile: what doesn't come from the page itself is refused, and changes nothing.
func TestHostile(t *testing.T) {
	x := open(t, "harbor.hcl", harbor)
	address, err := url.Parse(x.url)
	if err != nil {
		t.Fatal(err)
	}
	token, host := address.Query().Get("token"), address.Host
	_, port, _ := strings.Cut(host, ":")
	home := "http://" + host
	cookie := "eligen-studio-" + port + "=" + token
	const change = `{"kind":"text","text":"gone"}`
	type request struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
	}
	good := map[string]string{"Cookie": cookie, "Origin": home, "Content-Type": "application/json"}
	with := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for k, v := range good {
			out[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	changes := func(list string) string { return `{"kind":"change","changes":[` + list + `]}` }
	drop := func(as, block, data string) string {
		return `{"name":"../../x.png","as":"` + as + `","block":"` + block + `","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`
	}
	layout := func(name, data string) string {
		return `{"name":"` + name + `","as":"layout","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`
	}
	list := []request{
		{"no token", "GET", "/", "", nil, 403},
		{"no token, the page's program", "GET", "/studio.js", "", nil, 403},
		{"no token, events", "GET", "/api/events", "", nil, 403},
		{"wrong token", "GET", "/?token=0123456789abcdef0123456789abcdef", "", nil, 403},
		{"empty token", "GET", "/?token=", "", nil, 403},
		{"wrong cookie", "GET", "/", "", map[string]string{"Cookie": "eligen-studio-" + port + "=x"}, 403},
		{"another port's cookie", "GET", "/", "", map[string]string{"Cookie": "eligen-studio-1=" + token}, 403},
		{"a token where no page is", "GET", "/api/result/x?token=" + token, "", nil, 403},
		{"a name that points here", "GET", "/", "", with("Host", "evil.example:"+port), 421},
		{"a name that ends like ours", "GET", "/", "", with("Host", "localhost.evil.example:"+port), 421},
		{"another port", "GET", "/", "", with("Host", "127.0.0.1:1"), 421},
		{"no port", "GET", "/", "", with("Host", "127.0.0.1"), 421},
		{"the token on a name that points here", "GET", "/?token=" + token, "", map[string]string{"Host": "evil.example:" + port}, 421},
		{"a post from another site", "POST", "/api/edit", change, with("Origin", "http://evil.example"), 403},
		{"a post from another port", "POST", "/api/edit", change, with("Origin", "http://127.0.0.1:1"), 403},
		{"a post from a file", "POST", "/api/edit", change, with("Origin", "null"), 403},
		{"a post over TLS", "POST", "/api/edit", change, with("Origin", "https://"+host), 403},
		{"a post from nowhere", "POST", "/api/edit", change, with("Origin", ""), 403},
		{"a post that a form can make", "POST", "/api/edit", change, with("Content-Type", "text/plain"), 403},
		{"a form", "POST", "/api/edit", change, with("Content-Type", "application/x-www-form-urlencoded"), 403},
		{"a post without a kind", "POST", "/api/edit", change, with("Content-Type", ""), 403},
		{"a cross-site read", "GET", "/api/events", "", map[string]string{"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}, 403},
		{"a same-site read", "GET", "/studio.js", "", map[string]string{"Cookie": cookie, "Sec-Fetch-Site": "same-site"}, 403},
		{"a cross-site run", "POST", "/api/run", `{"do":"start"}`, with("Sec-Fetch-Site", "cross-site"), 403},
		{"a preflight", "OPTIONS", "/api/edit", "", with("Access-Control-Request-Method", "POST"), 403},
		{"another method", "PUT", "/api/edit", change, good, 403},
		{"a deletion", "DELETE", "/api/edit", "", good, 403},
		{"a trace", "TRACE", "/", "", good, 403},
		{"a file of the machine", "GET", "/etc/passwd", "", good, 404},
		{"a file above", "GET", "/../../etc/passwd", "", good, 307},
		{"a file above, escaped", "GET", "/%2e%2e/%2e%2e/etc/passwd", "", good, 404},
		{"the scene's file", "GET", "/harbor.hcl", "", good, 404},
		{"a result above", "GET", "/api/result/..%2f..%2fetc%2fpasswd", "", good, 404},
		{"a result of nobody", "GET", "/api/result/" + strings.Repeat("0", 64), "", good, 404},
		{"a result that is no digest", "GET", "/api/result/x", "", good, 404},
		{"no JSON", "POST", "/api/edit", "gone", good, 400},
		{"an unknown field", "POST", "/api/edit", `{"kind":"text","path":"/etc/passwd"}`, good, 400},
		{"too much", "POST", "/api/edit", `{"kind":"text","text":"` + strings.Repeat("x", 5<<20) + `"}`, good, 400},
		{"a scene that is too long", "POST", "/api/edit", `{"kind":"text","text":"` + strings.Repeat("#", 2<<20) + `"}`, good, 422},
		{"an unknown change", "POST", "/api/edit", `{"kind":"rename","text":"x"}`, good, 422},
		{"a text of an older version", "POST", "/api/edit", `{"kind":"text","text":"gone","base":"0"}`, good, 409},
		{"HCL in a value", "POST", "/api/edit",
			changes(`{"kind":"set","block":"entity.duck","attribute":"z","value":"1\n}\nentity \"x\" {"}`), good, 422},
		{"HCL in a name", "POST", "/api/edit",
			changes(`{"kind":"set","block":"entity.duck","attribute":"z = 1\nq","value":"1"}`), good, 422},
		{"HCL in a number", "POST", "/api/edit",
			changes(`{"kind":"numbers","block":"entity.duck","attribute":"box","numbers":["file(\"/etc/passwd\")","","",""]}`), good, 422},
		{"half of a change", "POST", "/api/edit",
			changes(`{"kind":"remove","block":"entity.duck"},{"kind":"remove","block":"entity.x"}`),
			good, 422},
		{"a change of nothing", "POST", "/api/edit", `{"kind":"change"}`, good, 422},
		{"a drop from another site", "POST", "/api/drop", drop("", "", "x"), with("Origin", "http://evil.example"), 403},
		{"a drop that a form can make", "POST", "/api/drop", drop("", "", "x"), with("Content-Type", "text/plain"), 403},
		{"a picture that is none", "POST", "/api/drop", drop("mask", "entity.duck", "\x89PNG\r\n\x1a\nno"), good, 422},
		{"a picture of 2³¹ pixels", "POST", "/api/drop", drop("mask", "entity.duck", bomb()), good, 422},
		{"a picture for what isn't there", "POST", "/api/drop", drop("init", "render.none", pixel()), good, 422},
		{"a picture as anything", "POST", "/api/drop", drop("command", "render.harbor", pixel()), good, 422},
		{"a picture in a block's place", "POST", "/api/drop", drop("init", "render.harbor.sampler", pixel()), good, 422},
		{"no base64", "POST", "/api/drop", `{"name":"x","data":"\u0000"}`, good, 400},
		{"a layout of a file of the machine", "POST", "/api/drop",
			`{"name":"x.json","as":"layout","data":"e30=","says":{"Images":"/etc/passwd"}}`, good, 422},
		{"a layout whose mask is a file of the machine", "POST", "/api/drop", layout("x.xml", `<annotation><filename>x.jpg</filename>`+
			`<folder>..</folder><imagesize><nrows>8</nrows><ncols>8</ncols></imagesize><object><name>x</name><deleted>0</deleted>`+
			`<segm><mask>../../../../etc/passwd</mask></segm></object></annotation>`), good, 422},
		{"a layout whose picture is a file of the machine", "POST", "/api/drop", layout("x.json", `{"caption": "x", "segmentation": `+
			`"../../etc/passwd", "segments_info": [{"id": 1, "text": "x", "color": [1, 1, 1]}]}`), good, 422},
		{"a layout whose picture is a path of the machine", "POST", "/api/drop", layout("x.json", `{"caption": "x", "segmentation": `+
			`"/etc/passwd", "segments_info": [{"id": 1, "text": "x", "color": [1, 1, 1]}]}`), good, 422},
		{"a layout that is deep", "POST", "/api/drop", layout("x.json", strings.Repeat("[", 1<<20)), good, 422},
		{"a layout that is nobody's", "POST", "/api/drop", layout("x.json", "{}"), good, 422},
		{"a drop that is too large", "POST", "/api/drop",
			`{"name":"x","data":"` + strings.Repeat("A", 49<<20) + `"}`, good, 400},
		{"a picture into a folder above", "POST", "/api/drop", drop("mask", "../../entity.duck", pixel()), good, 422},
		{"a comparison of nobody's pictures", "GET", "/api/compare?a=" + strings.Repeat("0", 64) + "&b=" + strings.Repeat("1", 64),
			"", good, 404},
		{"a difference of files", "GET", "/api/difference?a=../../etc/passwd&b=/etc/passwd", "", good, 404},
		{"a preview above", "GET", "/api/preview/..%2f../x/1", "", good, 404},
		{"a restored picture of nobody", "POST", "/api/edit", `{"kind":"restore","picture":"` + strings.Repeat("0", 64) + `"}`, good, 422},
		{"a million seeds", "POST", "/api/run", `{"do":"start","seeds":[` + strings.Repeat("1,", 1<<20) + `1]}`, good, 400},
		{"an expression that reads a file", "POST", "/api/edit",
			changes(`{"kind":"set","block":"entity.duck","attribute":"z","value":"1 }"}`), good, 422},
		{"frames of nobody", "GET", "/api/poses?render=render.none", "", good, 404},
		{"frames without a token", "GET", "/api/poses?render=render.harbor", "", nil, 403},
		{"an unknown order", "POST", "/api/run", `{"do":"rm"}`, good, 400},
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range list {
		r, err := http.NewRequest(c.method, home+c.path, bytes.NewBufferString(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			if k == "Host" {
				r.Host = v
			} else if v != "" {
				r.Header.Set(k, v)
			}
		}
		reply, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(reply.Body, 1<<16))
		_ = reply.Body.Close()
		if reply.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, reply.StatusCode, c.status, body)
		}
		h := reply.Header
		if h.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: headers %v", c.name, h)
		}
	}
	if x.text() != harbor {
		t.Errorf("the file is\n%s", x.text())
	}
	t.Logf("%d requests refused", len(list))
	if entries, _ := os.ReadDir(x.file + "/.."); len(entries) > 1 {
		t.Errorf("the folder holds %v", entries)
	}
}

// TestDropAlone: a layout that is dropped comes alone. Files that lie around the place where eligen reads it
// are somebody's else, also where their names are those that a form of layouts looks for.
func TestDropAlone(t *testing.T) {
	above := t.TempDir()
	t.Setenv("TMPDIR", above)
	if err := os.WriteFile(filepath.Join(above, "classes.txt"), []byte("a secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	x := open(t, "harbor.hcl", harbor)
	address, _ := url.Parse(x.url)
	body := `{"name":"x.txt","data":"` + base64.StdEncoding.EncodeToString([]byte("0 0.5 0.5 0.25 0.25\n")) + `"}`
	r, err := http.NewRequest("POST", "http://"+address.Host+"/api/drop", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(address.Host, ":")
	r.Header.Set("Cookie", "eligen-studio-"+port+"="+address.Query().Get("token"))
	r.Header.Set("Origin", "http://"+address.Host)
	r.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	said, _ := io.ReadAll(reply.Body)
	if !strings.Contains(string(said), `"format":"yolo"`) || strings.Contains(string(said), "names are those of") {
		t.Errorf("status %d: %s", reply.StatusCode, said)
	}
	if left, _ := os.ReadDir(above); len(left) > 1 {
		t.Errorf("left there: %v", left)
	}
}
