#!/usr/bin/env bash
# Brings the reference page's script here: one file of a pinned npm package,
# compressed. Needs npm, tar and gzip. To take another version, change
# the three values below, run it, and look at /docs in a browser with its console
# open: the page's policy must not be violated.
set -euo pipefail
version=1.46.4
checksum=335d7f2d3a8ebb6b93a0e45142f5ee15965c09826bcacb18aeb1c5c187eedcb5 # sha256 of the package
script=81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb # sha256 of the script in it

cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "@scalar/api-reference@$version" >/dev/null
echo "$checksum  $work/scalar-api-reference-$version.tgz" | sha256sum --check --quiet
tar xzf "$work/scalar-api-reference-$version.tgz" -C "$work" package/dist/browser/standalone.js
echo "$script  $work/package/dist/browser/standalone.js" | sha256sum --check --quiet
gzip -9nc "$work/package/dist/browser/standalone.js" >scalar.js.gz
echo "scalar.js.gz is @scalar/api-reference $version"
