#!/bin/sh
# Packs what measures a card on another machine, which needs no Go: `make gpu-kit`.
#
#   bench/gpu/pack.sh FILE.tar.gz
set -eu
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kit=$work/eligen-gpu-kit
mkdir -p "$kit/testdata" "$kit/scenes" "$kit/gallery"

# Both programs would embed nano's weights. They lie beside them instead.
weights=$PWD/model/family/nano/weights
{
	printf '{"Replace": {'
	sep=
	for f in "$weights"/*; do
		[ "$(basename "$f")" = README.md ] && continue
		printf '%s"%s": ""' "$sep" "$f"
		sep=', '
	done
	printf '}}'
} >"$work/overlay.json"
go build -overlay "$work/overlay.json" -trimpath -ldflags='-s -w' -o "$kit/bench" ./bench
go test -overlay "$work/overlay.json" -trimpath -ldflags='-s -w' -c -o "$kit/goldens.test" ./model
cp -R "$weights" "$kit/nano"
cp -R model/testdata/goldens model/testdata/later.txt "$kit/testdata/"
for scene in rain twins seven; do
	cp "scenes/$scene.hcl" "$kit/scenes/"
	cp "docs/gallery/$scene.png" "$kit/gallery/"
done
cp bench/gpu/run.sh "$kit/"
tar -C "$work" -cf - eligen-gpu-kit | gzip -9 >"$out"
size=$(wc -c <"$out")
echo "$out: $((size / 1048576)) MiB"
[ "$size" -lt 67108864 ] || { echo "the kit must be less than 64 MiB" >&2; exit 1; }
