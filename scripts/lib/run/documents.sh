# The documents that `scripts/run` serves: lines of counted numbers, so that no two blocks are alike
# and every hash is known before anything is made or sent.
set -euo pipefail

# Bytes, the first and the last number, and the hash. A line has ten bytes.
readonly DOCUMENTS="\
0 1 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
100 100000000 100000009 9bf0055279f5f6118b3edd2987c1f25c094f65fba4cdb7e159ad1dc29c857451
10000 200000000 200000999 0ef7baa2b3d495055165caa83d7a00dea2ce1e94749de294e687d855aaa00c0b
1000000 300000000 300099999 be580543c296e0bae002a22e4df765dee806a624b84c9a9367ece198de854df3
100000000 400000000 409999999 1d950ad07cb599e020e4bc0b13a8833ec633f9863eea9a3a6bace2c9d46d15b2"
readonly FILE_LEN=100000000

declare -A hash_of=()
while read -r len first last hash; do
    hash_of[$len]="$hash"
done <<<"$DOCUMENTS"

# A full disk is no fault of the gateway.
lacks_room() {
    say "the documents do not fit into $FOLDER; mend it: name a folder with 200 MB to spare, \
as TMPDIR=/var/tmp scripts/run"
    exit 3
}

# Makes the documents and sees that they are right.
make_documents() {
    local len first last hash
    mkdir -- "$FOLDER/documents"
    while read -r len first last hash; do
        seq "$first" "$last" >"$FOLDER/documents/$len.txt" 2>>"$FOLDER/errors" || lacks_room
        printf '%s  %s\n' "$hash" "$len.txt" || lacks_room
    done <<<"$DOCUMENTS" >"$FOLDER/documents.sha256"
    (cd "$FOLDER/documents" && sha256sum --check --quiet ../documents.sha256) >&2 || lacks_room
}
