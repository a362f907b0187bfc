#!/bin/sh
# curl against one base URL; leaves heads and bodies in the folder given second.
set -eu
base=$1
out=$2
ask() {
  name=$1
  shift
  curl --silent --show-error --noproxy '*' --max-time 20 --dump-header "$out/$name.head" \
    --output "$out/$name.body" "$@"
  [ -f "$out/$name.body" ] || : > "$out/$name.body"
}
ask success -H 'X-Probe: 1' "$base/plain/success?q=a%20b&q=c"
ask upload -H 'Expect:' --data-binary "@$out/upload" "$base/plain/upload"
ask expect -H 'Expect: 100-continue' --data-binary "@$out/upload" "$base/plain/upload"
ask chunked -H 'Transfer-Encoding: chunked' --data-binary "@$out/upload" "$base/plain/upload"
ask stream --no-buffer "$base/plain/stream"
ask head --head "$base/plain/success"
ask missing "$base/plain/missing"
ask limited "$base/limited/limited"
ask down "$base/down/down"
