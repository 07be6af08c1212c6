# datasets.py FORM FOLDER … reads datasets with other programs' own libraries, and prints what those see in them, as JSON: by pycocotools in a
# folder of COCO's form, by the loader of DiffSynth-Studio's trainer in one of EliGen's.
import contextlib
import importlib.util
import io
import json
import os
import sys
import types

import numpy


def coco(folder):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(os.path.join(folder, "instances.json"))
    out = []
    for image in data.loadImgs(data.getImgIds()):
        assert os.path.isfile(os.path.join(folder, image["file_name"])), image
        found = data.loadAnns(data.getAnnIds(imgIds=image["id"]))
        out.append({
            "size": [image["width"], image["height"]],
            "entities": [data.loadCats(a["category_id"])[0]["name"] for a in found],
            "pixels": [int(data.annToMask(a).sum()) if a["segmentation"] else round(a["bbox"][2] * a["bbox"][3]) for a in found],
        })
    return out


def eligen(folder):
    # The package as a whole wants libraries for models; its data has none of them.
    at = importlib.util.find_spec("diffsynth").submodule_search_locations[0]
    data = types.ModuleType("trainer_data")
    data.__path__ = [os.path.join(at, "core", "data")]
    sys.modules["trainer_data"] = data
    from trainer_data.unified_dataset import UnifiedDataset

    loaded = UnifiedDataset(
        base_path=folder, metadata_path=os.path.join(folder, "metadata.json"), data_file_keys=("image", "eligen_entity_masks"),
        main_data_operator=UnifiedDataset.default_image_operator(base_path=folder, max_pixels=1 << 20))
    out = []
    for i in range(len(loaded.data)):
        item = loaded[i]
        out.append({
            "size": list(item["image"].size),
            "prompt": item["prompt"],
            "entities": item["eligen_entity_prompts"],
            "pixels": [int((numpy.asarray(m)[..., 0] >= 128).sum()) for m in item["eligen_entity_masks"]],
            "keys": sorted(item),
        })
    return out


forms = {"coco": coco, "eligen": eligen}
json.dump([forms[form](folder) for form, folder in zip(sys.argv[1::2], sys.argv[2::2])], sys.stdout)
