#!/bin/sh
# Measures this machine's graphics card, in ten minutes at most, and prints a table: what docs/cuda.md
# could not prove. It needs NVIDIA's driver and a CUDA plugin: eligen's or that of an installed JAX.
#
#   ./run.sh                            # everything
#   ./run.sh -only peak,FLUX.1          # these parts: peak, attention, goldens, FLUX.1, nano, PyTorch
#   ./run.sh -python venv/bin/python    # whose JAX and PyTorch are taken
#   ./run.sh -card-plugin plugin.so -quick    # any plugin, small: to see that it works
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export ELIGEN_NANO_DIR="$here/nano" TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"
"$here/bench" -card -card-kit "$here" "$@" >"$here/result.md"
cat "$here/result.md"
