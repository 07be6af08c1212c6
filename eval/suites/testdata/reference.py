"""Writes the detections and figures that the tests of this folder compare with.

The arithmetic is that of the benchmarks' own scripts, written anew for stored detections: numpy and OpenCV do what
they do there, in the same order and precision. The models of the originals are left out: GroundingDINO, SAM,
Mask2Former, CLIP and UniDet would have made the detections, and spaCy the nouns.

    pip install numpy==2.4.6 opencv-python-headless==5.0.0.93 && python reference.py
"""
import json
import random

import cv2
import numpy as np

rnd = random.Random(20)
F = np.float32
expected = {}


def save(name, value):
    with open(name, "w") as f:
        json.dump(value, f, separators=(",", ":"))
        f.write("\n")


def xyxy(d):
    x, y, w, h = d["bbox"]
    return [x, y, x + w, y + h]


def jitter(box, by, side):
    out = [v + rnd.uniform(-by, by) * side for v in box]
    return [min(out[0], out[2] - 1), min(out[1], out[3] - 1), max(out[0] + 1, out[2]), max(out[1] + 1, out[3])]


def xywh(b):
    x, y = round(b[0], 3), round(b[1], 3)
    return [x, y, round(b[2], 3) - x, round(b[3], 3) - y]


# --- COCO-MIG ---------------------------------------------------------------------------------------------------------
COLORS = {
    "red": [((0, 43, 35), (6, 255, 255)), ((156, 43, 35), (180, 255, 255))],
    "blue": [((78, 43, 35), (124, 255, 255))],
    "green": [((35, 43, 35), (77, 255, 255))],
    "yellow": [((20, 43, 35), (34, 255, 255))],
    "black": [((0, 0, 0), (180, 255, 35))],
    "white": [((0, 0, 221), (180, 43, 255))],
    "brown": [((6, 43, 35), (25, 255, 255))],
}
PAINT = {"red": (200, 20, 30), "blue": (30, 60, 210), "green": (40, 180, 60), "yellow": (230, 210, 40), "black": (10, 12, 14),
         "white": (245, 244, 240), "brown": (120, 70, 30)}
THINGS = ["cat", "dog", "fire hydrant", "chair"]


def nms(boxes, scores, most):
    left, keep = list(np.argsort(-scores, kind="stable")), []
    while left:
        i = left.pop(0)
        keep.append(i)
        left = [j for j in left if not iou_one(boxes[i], boxes[j]) > most]
    return keep


def iou_one(a, b):
    w, h = max(min(a[2], b[2]) - max(a[0], b[0]), 0), max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def encode(mask):
    runs, on, n = [], 0, 0
    for v in mask.T.reshape(-1):
        if v != on:
            runs.append(n)
            on, n = v, 0
        n += 1
    return {"size": list(mask.shape), "counts": [int(r) for r in runs + [n]]}


def mig():
    items, images, detections = {}, [], []
    categories = [{"id": i + 1, "name": t} for i, t in enumerate(THINGS)]
    for k in range(20):
        side = [512, 1024, 512, 700][k % 4]
        w, h = side, side if side != 700 else 500
        picture = np.full((h, w, 3), 127, np.uint8)
        picture[:, :, 0] = np.linspace(60, 190, w).astype(np.uint8)[None, :]
        segment = []
        for i in range(2 + k % 5):
            x, y = 0.05 + 0.3 * (i % 3), 0.05 + 0.45 * (i // 3)
            box = [x, y, x + rnd.uniform(0.15, 0.28), y + rnd.uniform(0.2, 0.4)]
            box = [round(v, 5) for v in box]
            want = rnd.choice(list(COLORS))
            segment.append({"label": f"{want} {THINGS[i % len(THINGS)]}", "bbox": box})
            have = want if rnd.random() < 0.9 else rnd.choice(list(COLORS))
            r, g, b = PAINT[have]
            x0, y0, x1, y1 = [int(v * s) for v, s in zip(box, (w, h, w, h))]
            part = rnd.choice([0.19, 0.21, 0.5, 1.0, 1.0, 1.0, 1.0])
            picture[y0:y1, x0:x0 + int((x1 - x0) * part)] = (b, g, r)
            real = [v * s for v, s in zip(box, (w, h, w, h))]
            for _ in range(rnd.choice([0, 1, 1, 1, 2, 3, 3])):
                d = {"image_id": k + 1, "category_id": i % len(THINGS) + 1, "bbox": xywh(jitter(real, rnd.choice([0.01, 0.01, 0.03]), w)),
                     "score": round(rnd.uniform(0.2, 0.95), 4)}
                if rnd.random() < 0.3:
                    mask = np.zeros((h, w), np.uint8)
                    mask[y0:y1, x0:x0 + (x1 - x0) // 2] = 1
                    d["segmentation"] = encode(mask)
                detections.append(d)
        items[str(k + 1)] = {"caption": "a photo", "segment": segment}
        name = f"{'_'.join(s['label'] for s in segment)}_{k + 1}.png"
        images.append({"id": k + 1, "file_name": name, "width": w, "height": h})
        cv2.imwrite(f"mig-{k + 1}.png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    save("mig-items.json", items)
    save("mig-images.json", {"images": images, "categories": categories})
    save("mig-detections.json", detections)

    levels = {}
    for img in images:
        key, w, h = str(img["id"]), img["width"], img["height"]
        picture = cv2.imread(f"mig-{key}.png")
        if picture.shape[0] != 512:
            picture = cv2.resize(picture, dsize=(512, 512))
        rows = []
        for want in items[key]["segment"]:
            color, label = want["label"].split(" ", 1)
            gt = np.array(want["bbox"]) * 512
            ours = [d for d in detections if d["image_id"] == img["id"] and THINGS[d["category_id"] - 1] == label and d["score"] > 0.25]
            scale = np.array([512 / w, 512 / h] * 2) if h != 512 else np.ones(4)
            boxes = np.array([xyxy(d) for d in ours]).reshape(-1, 4) * scale
            keep = nms(boxes, np.array([d["score"] for d in ours]), 0.8)
            if not keep:
                rows.append((0, 0, 0.0))
                continue
            b = boxes[keep]
            iw = np.maximum(np.minimum(b[:, 2], gt[2]) - np.maximum(b[:, 0], gt[0]), 0.0)
            ih = np.maximum(np.minimum(b[:, 3], gt[3]) - np.maximum(b[:, 1], gt[1]), 0.0)
            iou = iw * ih / ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) + (gt[2] - gt[0]) * (gt[3] - gt[1]) - iw * ih)
            best = np.max(iou)
            if best < 0.5:
                rows.append((0, 0, best))
                continue
            d = ours[keep[int(np.argmax(iou))]]
            if "segmentation" in d:
                mh, mw = d["segmentation"]["size"]
                flat, on = [], 0
                for n in d["segmentation"]["counts"]:
                    flat += [on] * n
                    on = 1 - on
                small = np.array(flat, np.uint8).reshape(mw, mh).T
                mask = small[np.arange(512) * mh // 512][:, np.arange(512) * mw // 512]
            else:
                mask = np.zeros((512, 512), np.uint8)
                x0, y0, x1, y1 = [int(v) for v in gt]
                mask[y0:y1, x0:x1] = 1
            grey = picture * mask[:, :, None] + (1 - mask)[:, :, None] * np.uint8(127)
            hsv = cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_BGR2HSV)
            hit = np.zeros((512, 512), bool)
            for low, high in COLORS[color]:
                hit |= cv2.inRange(hsv, np.array(low), np.array(high)) > 0
            right = mask.sum() > 0 and F(np.logical_and(hit, mask).sum()) / F(mask.sum()) >= F(0.2)
            rows.append((1, int(right), best if right else 0.0))
        levels.setdefault(len(rows), []).append(rows)
    out = {}
    for name, group in [("", [r for g in levels.values() for r in g])] + [(f" L{n}", levels[n]) for n in sorted(levels)]:
        flat = [i for r in group for i in r]
        out["SR" + name] = sum(all(i[0] * i[1] for i in r) for r in group) / len(group)
        out["I-SR" + name] = sum(i[0] and i[1] for i in flat) / len(flat)
        out["mIoU" + name] = sum(i[2] for i in flat) / len(flat)
        found = sum(i[0] for i in flat)
        if found:
            out["colour of those found" + name] = sum(i[0] and i[1] for i in flat) / found
    expected["cocomig"] = out


# --- GenEval ----------------------------------------------------------------------------------------------------------
CLASSES = ["bench", "cat", "dog", "apple", "cup"]
HUES = ["red", "blue", "green"]


def geneval():
    lines, images, detections = [], [], []
    for n in range(60):
        a, b = rnd.sample(CLASSES, 2)
        color, other = rnd.choice(HUES), rnd.choice(HUES)
        where = rnd.choice(["left of", "right of", "above", "below"])
        count = rnd.choice([2, 3, 4])
        tag = ["single_object", "two_object", "counting", "colors", "position", "color_attr"][n % 6]
        lines.append({
            "single_object": {"tag": tag, "include": [{"class": a, "count": 1}], "prompt": f"a photo of a {a}"},
            "two_object": {"tag": tag, "include": [{"class": a, "count": 1}, {"class": b, "count": 1}], "prompt": f"a photo of a {a} and a {b}"},
            "counting": {"tag": tag, "include": [{"class": a, "count": count}], "exclude": [{"class": a, "count": count + 1}],
                         "prompt": f"a photo of {count} {a}s"},
            "colors": {"tag": tag, "include": [{"class": a, "count": 1, "color": color}], "prompt": f"a photo of a {color} {a}"},
            "position": {"tag": tag, "include": [{"class": b, "count": 1}, {"class": a, "count": 1, "position": [where, 0]}],
                         "prompt": f"a photo of a {a} {where} a {b}"},
            "color_attr": {"tag": tag, "include": [{"class": a, "count": 1, "color": color}, {"class": b, "count": 1, "color": other}],
                           "prompt": f"a photo of a {color} {a} and a {other} {b}"},
        }[tag])
        for s in range(3):
            image = len(images) + 1
            images.append({"id": image, "file_name": f"{n:05}/samples/{s:04}.png", "width": 512, "height": 512})
            things = [c["class"] for c in lines[-1]["include"] for _ in range(c["count"])]
            for t in things + rnd.choices(CLASSES, k=2):
                w, h = rnd.uniform(40, 200), rnd.uniform(40, 200)
                x, y = rnd.uniform(0, 312), rnd.uniform(0, 312)
                detections.append({"image_id": image, "category_id": CLASSES.index(t) + 1, "bbox": xywh([x, y, x + w, y + h]),
                                   "score": round(rnd.choice([rnd.uniform(0.1, 1), 0.3, 0.9, 0.97]), 4), "color": rnd.choice(HUES[:2] + [color])})
    with open("geneval.jsonl", "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)
    save("geneval-images.json", {"images": images, "categories": [{"id": i + 1, "name": c} for i, c in enumerate(CLASSES)]})
    save("geneval-detections.json", detections)

    def relation(a, b):
        boxes = np.array([a, b], F).reshape(2, 2, 2)
        (ca, cb), (da, db) = boxes.mean(axis=-2), np.abs(np.diff(boxes, axis=-2))[..., 0, :]
        offset = ca - cb
        rest = np.maximum(np.abs(offset) - 0.1 * (da + db), 0) * np.sign(offset)
        if np.all(np.abs(rest) < 1e-3):
            return set()
        dx, dy = rest / np.linalg.norm(offset)
        return {n for n, yes in (("left of", dx < -0.5), ("right of", dx > 0.5), ("above", dy < -0.5), ("below", dy > 0.5)) if yes}

    results = []
    for img in images:
        n = int(img["file_name"][:5])
        want = lines[n]
        objects = {}
        for i, name in enumerate(CLASSES):
            rows = [d for d in detections if d["image_id"] == img["id"] and d["category_id"] == i + 1]
            scores = np.array([d["score"] for d in rows], F)
            order = np.argsort(scores, kind="stable")[::-1]
            order = order[scores[order] > (0.9 if want["tag"] == "counting" else 0.3)][:16]
            if len(order):
                objects[name] = [rows[j] for j in order]
        ok, groups = True, []
        for c in want["include"]:
            found = objects.get(c["class"], [])[:c["count"]]
            good = len(found) >= c["count"]
            if good and "color" in c and [d["color"] for d in found].count(c["color"]) < c["count"]:
                good = False
            if good and "position" in c:
                rel, target = c["position"]
                good = groups[target] is not None and all(rel in relation(xyxy(o), xyxy(t)) for o in found for t in groups[target])
            ok = ok and good
            groups.append(found if good else None)
        ok = ok and not any(len(objects.get(c["class"], [])) >= c["count"] for c in want.get("exclude", []))
        results.append((want["tag"], json.dumps(want), ok))
    out = {"pictures": np.mean([r[2] for r in results])}
    out["prompts"] = np.mean([any(r[2] for r in results if r[1] == p) for p in {r[1] for r in results}])
    tags = list(dict.fromkeys(r[0] for r in results))
    for t in tags:
        out[t] = np.mean([r[2] for r in results if r[0] == t])
    out["overall"] = np.mean([out[t] for t in tags])
    expected["geneval"] = {k: float(v) for k, v in out.items()}


# --- T2I-CompBench ----------------------------------------------------------------------------------------------------
def spatial():
    words = ["on side of", "next to", "near", "on the left of", "on the right of", "on the bottom of", "on the top of"]
    prompts, images, detections = [], [], []
    nouns = ["dog", "girl", "lamp", "car", "man", "balloon"]
    real = ["dog", "person", "lamp", "car", "balloon"]
    for n in range(70):
        a, b = rnd.sample(nouns, 2)
        prompts.append(f"a {a} {words[n % 7]} a {b}")
        images.append({"id": n + 1, "file_name": f"{prompts[-1]}_{n:06}.png", "width": 512, "height": 512})
        for t in (a, b, rnd.choice(nouns)):
            if rnd.random() < 0.1:
                continue
            label = "person" if t in ("girl", "man") else t
            w, h = rnd.uniform(40, 240), rnd.uniform(40, 240)
            x, y = rnd.uniform(0, 272), rnd.uniform(0, 272)
            detections.append({"image_id": n + 1, "category_id": real.index(label) + 1, "bbox": xywh([x, y, x + w, y + h]),
                               "score": round(rnd.uniform(0.5, 1), 4)})
    with open("spatial.txt", "w") as f:
        f.writelines(p + "\n" for p in prompts)
    save("spatial-images.json", {"images": images, "categories": [{"id": i + 1, "name": c} for i, c in enumerate(real)]})
    save("spatial-detections.json", detections)

    def stands(word, p, q):
        x, y = (q[0] + q[2]) / 2 - (p[0] + p[2]) / 2, (q[1] + q[3]) / 2 - (p[1] + p[3]) / 2
        inter = max(0, min(p[2], q[2]) - max(p[0], q[0])) * max(0, min(p[3], q[3]) - max(p[1], q[1]))
        iou = inter / ((p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - inter)
        if word in ("next to", "on side of", "near"):
            return 1 if abs(x) < 150 or abs(y) < 150 else 150 / max(abs(x), abs(y))
        yes = {"on the right of": x < 0 and abs(x) > abs(y), "on the left of": x > 0 and abs(x) > abs(y),
               "on the bottom of": y < 0 and abs(y) > abs(x), "on the top of": y > 0 and abs(y) > abs(x)}[word]
        return (1 if iou < 0.1 else 0.1 / iou) if yes else 0

    total = 0
    for n, p in enumerate(prompts):
        word = next(w for w in words if w in p)
        one, other = ["person" if t in ("girl", "man") else t for t in (p.split()[1], p.split()[-1])]
        rows = [d for d in detections if d["image_id"] == n + 1]
        names = [real[d["category_id"] - 1] for d in rows]
        score = 0
        if one in names:
            score += 0.25 * rows[names.index(one)]["score"]
        if other in names:
            score += 0.25 * rows[names.index(other)]["score"]
        if one in names and other in names:
            score += stands(word, xyxy(rows[names.index(one)]), xyxy(rows[names.index(other)])) / 2
        total += 0 if score < 0.5 else score
    expected["spatial"] = {"spatial": total / len(prompts)}


def numeracy():
    objects = [("dog", "dogs"), ("ship", "ships"), ("fire hydrant", "fire hydrants"), ("girl", "girls"), ("goldfish", "goldfish")]
    labels = ["dog", "boat", "fire hydrant", "person", "fish", "dogfish"]
    names = {"ship": "boat", "girl": "person", "goldfish": "fish"}
    count = ["", "one", "two", "three", "four", "five"]
    prompts, images, detections, wants = [], [], [], []
    for n in range(40):
        one, other = rnd.sample(objects, 2)
        k, m = rnd.randint(1, 5), rnd.randint(2, 4)
        first = f"{rnd.choice(['a', 'one'])} {one[0]}" if k == 1 else f"{count[k]} {one[1]}"
        prompts.append(f"{first} and {count[m]} {other[1]}.")
        wants.append([(one[0], k), (other[0], m)])
        images.append({"id": n + 1, "file_name": f"{prompts[-1]}_{n:06}.png", "width": 512, "height": 512})
        for t, c in wants[-1]:
            for _ in range(max(0, c + rnd.choice([0, 0, 0, -1, 1]))):
                w, h = rnd.uniform(30, 90), rnd.uniform(30, 90)
                x, y = rnd.uniform(0, 420), rnd.uniform(0, 420)
                d = {"image_id": n + 1, "category_id": labels.index(names.get(t, t)) + 1, "bbox": xywh([x, y, x + w, y + h]), "score": 0.8}
                detections.append(d)
                if rnd.random() < 0.2:
                    detections.append(dict(d, bbox=[d["bbox"][0] + 0.5] + d["bbox"][1:]))
        if rnd.random() < 0.3:
            detections.append({"image_id": n + 1, "category_id": 6, "bbox": [1, 1, 50, 50], "score": 0.7})
    with open("numeracy.txt", "w") as f:
        f.writelines(p + "\n" for p in prompts)
    with open("objects.txt", "w") as f:
        f.writelines(f"{a} - {b}\n" for a, b in objects)
    save("numeracy-images.json", {"images": images, "categories": [{"id": i + 1, "name": c} for i, c in enumerate(labels)]})
    save("numeracy-detections.json", detections)

    def twice(p, q):
        inter = max(0, min(p[2], q[2]) - max(p[0], q[0]) + 1) * max(0, min(p[3], q[3]) - max(p[1], q[1]) + 1)
        a, b = (p[2] - p[0] + 1) * (p[3] - p[1] + 1), (q[2] - q[0] + 1) * (q[3] - q[1] + 1)
        return inter / (a + b - inter) > 0.9 or inter / a > 0.9 or inter / b > 0.9

    total = 0
    for n in range(len(prompts)):
        kept = []
        for d in (d for d in detections if d["image_id"] == n + 1):
            name = labels[d["category_id"] - 1]
            if not any(name == k and twice(xyxy(d), b) for k, b in kept):
                kept.append((name, xyxy(d)))
        have = [k for k, _ in kept]
        for t, c in wants[n]:
            t = names.get(t, t)
            if t not in have:
                have = [t if t in h else h for h in have]
            total += 0.25 * (t in have) + 0.25 * (t in have and have.count(t) == c)
    expected["numeracy"] = {"numeracy": total / len(prompts)}


# --- OverLayBench -----------------------------------------------------------------------------------------------------
def overlay():
    items, detections, images, kinds = {}, [], [], ["person", "dog", "hat"]
    for n in range(20):
        ann, real = {}, []
        for i in range(rnd.randint(2, 6)):
            x, y = rnd.randint(0, 500), rnd.randint(0, 500)
            box = [x, y, x + rnd.randint(200, 500), y + rnd.randint(200, 500)]
            ann[f"thing {i}"] = {"category": rnd.choice(kinds), "bbox": box}
            real.append(box)
        pairs = [[i, j] for i in range(len(real)) for j in range(i) if iou_one(real[i], real[j]) > 0.05] or [[0, 1]]
        items[str(n + 10)] = {"annotations": ann, "valid_overlap": [{"overlap_box": p} for p in pairs]}
        images.append({"id": n + 10, "file_name": f"simple/1/{n + 10}.png", "width": 512, "height": 512})
        for a in ann.values():
            for _ in range(rnd.choice([0, 1, 1, 2])):
                detections.append({"image_id": n + 10, "category_id": kinds.index(a["category"]) + 1,
                                   "bbox": xywh(jitter([v / 2 for v in a["bbox"]], 0.05, 512)), "score": 1})
    save("overlay-items.json", items)
    save("overlay-images.json", {"images": images, "categories": [{"id": i + 1, "name": c} for i, c in enumerate(kinds)]})
    save("overlay-detections.json", detections)

    def iou(a, b):
        inter = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
        return inter / union if union > 0 else 0

    def both(a, b):
        return [max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])]

    miou = oiou = 0
    for key, it in items.items():
        ann = list(it["annotations"].values())
        got, total = [[0, 0, 0, 0]] * len(ann), 0
        for kind in kinds:
            wants = [i for i, a in enumerate(ann) if a["category"] == kind]
            have = [[int(v * 2) for v in xyxy(d)] for d in detections if d["image_id"] == int(key) and kinds[d["category_id"] - 1] == kind]
            todo = sorted(((iou(ann[i]["bbox"], p), i, j) for i in wants for j, p in enumerate(have)), key=lambda t: -t[0])
            seen, used = set(), set()
            for v, i, j in todo:
                if i in seen or j in used:
                    continue
                seen.add(i)
                used.add(j)
                got[i] = have[j]
                total += v
        miou += total / len(ann)
        pairs = [o["overlap_box"] for o in it["valid_overlap"]]
        oiou += sum(iou(both(ann[i]["bbox"], ann[j]["bbox"]), both(got[i], got[j])) for i, j in pairs) / len(pairs)
    expected["overlay"] = {"mIoU": miou / len(items), "O-mIoU": oiou / len(items)}


# --- OpenCV -----------------------------------------------------------------------------------------------------------
def opencv():
    """Checksums of every colour's HSV, and of resized pictures."""
    all_hsv, n = 0, 0
    for r in range(256):
        g, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
        bgr = np.stack([b, g, np.full_like(g, r)], -1)
        hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV).astype(np.uint64)
        all_hsv += int(((hsv[..., 0] * 65536 + hsv[..., 1] * 256 + hsv[..., 2]) * (np.arange(65536, dtype=np.uint64).reshape(256, 256) % 251 + 1)).sum())
    sizes = {}
    for w, h in ((1024, 1024), (700, 500), (300, 411), (768, 1344)):
        y, x = np.mgrid[0:h, 0:w]
        picture = np.stack([(x * 7 + y * 3) % 256, (x * x + y) % 256, (x * y) % 256], -1).astype(np.uint8)
        small = cv2.resize(picture, dsize=(512, 512)).astype(np.uint64)
        sizes[f"{w}x{h}"] = int((small.reshape(-1) * (np.arange(small.size, dtype=np.uint64) % 251 + 1)).sum())
    expected["opencv"] = {"hsv": all_hsv, "sizes": sizes}


mig()
geneval()
spatial()
numeracy()
overlay()
opencv()
with open("expected.json", "w") as f:
    json.dump(expected, f, indent=1)
    f.write("\n")
