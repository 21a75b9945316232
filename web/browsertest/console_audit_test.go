package browsertest_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleAudit is how an auditor believes an entry: the browser computes it, by the key that it has kept, and sees
// through whoever changes the database, and through a server that answers with another text.
func TestConsoleAudit(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	for i := range 3 {
		if status, answer := post(t, biocore, "users", fmt.Sprintf(`{"externalId":"u-%d","name":"Somebody"}`, i)); status != 200 {
			t.Fatalf("create a user: %d %s", status, answer)
		}
	}

	ana.Open(ana.url + "/t/acme/audit")
	ana.See(".page-h", "under a checkpoint")
	ana.See(".table", "user.create")
	ana.Inspect("console-audit")
	ana.Follow(`.table a[href]`)
	ana.See("#proof [data-verdict]", "Verified, by the server’s own key")
	ana.rows(t, "#proof .steps > .pass", 5)
	ana.See("#proof .steps", "Names, address and words, in 2 parts: exactly what the entry has the hash of")
	ana.See("#proof .steps", "You have kept none")
	ana.Inspect("console-audit-entry")
	ana.Click("#proof [data-keep]")
	ana.See("#proof [data-verdict]", "Verified in your browser")
	ana.rows(t, "#proof .steps > .pass", 6)
	ana.See("#proof .steps", "The log still begins with those")
	ana.Inspect("console-audit-verified")
	name, file := ana.Download(func() { ana.Click(`#proof a[download]`) })
	if !regexp.MustCompile(`^audit-proof-[0-9a-f-]{36}\.json$`).MatchString(name) {
		t.Errorf("the proof's file is %s", name)
	}
	key := holds(t, file)
	ana.maths(t)

	// What others have kept: their key, and an earlier checkpoint.
	ana.Open(ana.url + "/t/acme/audit/checkpoints")
	ana.See("h1", "Checkpoints")
	ana.See("#last-h", "The last one")
	ana.Inspect("console-audit-checkpoints")
	kept := browsertest.Eval[string](ana.Visitor, `document.querySelector('pre[aria-label="The signed note"]').textContent`)
	ana.Type("#compare-from", "1")
	ana.Follow(`form[action$="/checkpoints"] button`)
	ana.See(".callout.ok", "begins with that of 1 entry")
	ana.Type("#compare-from", "100000")
	ana.Follow(`form[action$="/checkpoints"] button`)
	ana.See("#compare-from-error", "not beyond the last checkpoint")
	ana.Inspect("console-audit-checkpoints-refused")

	// Months that have left the database.
	ana.Follow(`.page-h a[href$="/audit/archives"]`)
	ana.See(".empty", "Nothing is archived")
	ana.Inspect("console-audit-archives-none")
	archived(t, biocore)
	ana.Open(ana.url + "/t/acme/audit/archives")
	ana.See(".page-h", "All entries are in the database, too")
	ana.See(".rows", "Entries 0 to 12,417")
	ana.rows(t, ".rows .badge.ok", 1)
	ana.See(".rows .badge.warn", "Not locked")
	ana.Inspect("console-audit-archives")
	ana.Follow(`.rows form[action$="/archives/0/download"] button`)
	ana.See(".callout.bad", "What is there is not what was stored")
	ana.Inspect("console-audit-archives-refused")
	ana.Open(ana.url + "/t/acme/audit?action=user.create")
	ana.Follow(`.table a[href]`)
	ana.See("#proof [data-verdict]", "Verified in your browser")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector("#proof details:has(form)").open = true)`)
	ana.given(key, kept)
	ana.See("#proof [data-verdict]", "by the key that you gave")
	ana.given(key, strings.Replace(kept, "\n", "\n1", 1))
	ana.See("#proof .steps .fail", "signature is not by this key")
	ana.given("made.up/audit/x+00000000+AAAA", "")
	ana.See("#proof .steps .fail", "not for Ed25519")

	// What she looks for often.
	ana.Open(ana.url + "/t/acme/audit?action=user.create&since=7d")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector("details.saved-view").open = true)`)
	ana.Type("#view-name", "New users this week")
	ana.Inspect("console-audit-save-view")
	ana.Follow("details.saved-view button")
	ana.See(`.tabs [aria-current="page"]`, "New users this week")
	ana.See(".saved-view", "Saved by Ana Sousa on")
	ana.Inspect("console-audit-saved-view")
	ana.Follow("form.saved-view button")
	ana.Open(ana.url + "/t/acme/audit?action=user.create")
	ana.Follow(`.table a[href]`)
	ana.See("#proof [data-verdict]", "Verified in your browser")

	// A server that lies: the text is another one, or what is kept apart from it is, and everything else as it was.
	browsertest.Eval[bool](ana.Visitor, `(() => {
		const honest = window.fetch;
		window.fetch = async (...ask) => {
			const answer = await honest(...ask);
			if (!String(ask[0]).endsWith("/proof")) return answer;
			const proof = await answer.json();
			return Response.json({ ...proof, ...window.lie(proof) });
		};
		window.lie = ({ private: [part] }) => ({ private: [{ ...part, text: part.text.replace('"address":"1', '"address":"2') }] });
		return true;
	})()`)
	ana.Click("#proof [data-verify]")
	ana.See("#proof [data-verdict]", "does not verify")
	ana.See("#proof .steps .fail", "The part of a person is not what the entry has the hash of")
	browsertest.Eval[bool](ana.Visitor, `(window.lie = () => ({ private: [] }), true)`)
	ana.Click("#proof [data-verify]")
	ana.See("#proof .steps .fail", "is not what the entry has the hash of")
	browsertest.Eval[bool](ana.Visitor, `(window.lie = ({ entry }) => ({ entry: entry.replace('"success"', '"denied"') }), true)`)
	ana.Click("#proof [data-verify]")
	ana.See("#proof [data-verdict]", "does not verify")
	ana.See("#proof .steps .fail", "its text, its place or its proof is not what was signed")
	ana.Inspect("console-audit-refused")

	name, file = ana.Download(func() {
		ana.Click(`form[action$="/audit/export"] button`)
	})
	r, err := bundle.Verify(strings.NewReader(string(file)), key)
	if err != nil || !r.Valid() || !strings.HasPrefix(name, "biocore-audit-") {
		t.Errorf("%s: %+v, %v", name, r, err)
	}

	// And who changes the database.
	tamper(t, biocore)
	ana.Open(ana.url + "/t/acme/audit?action=user.create")
	ana.Follow(`.table a[href]`)
	ana.See("#proof [data-verdict]", "This is not as it was signed")
	ana.Inspect("console-audit-damaged")
}

// given fills in what somebody has kept, and verifies against it.
func (c colleague) given(key, note string) {
	c.Type("#given-key", key)
	browsertest.Eval[string](c.Visitor, fmt.Sprintf(`(document.getElementById("given-note").value = %q)`, note))
	c.Click("#proof [data-given] button")
}

// archived notes two archives, of which object storage has nothing.
func archived(t *testing.T, biocore *browsertest.Biocore) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), biocore.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `WITH t AS (SELECT set_config('app.tenant_id', $1, false))
		INSERT INTO audit_archives (tenant_id, from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, locked_until, problem)
		SELECT $1::uuid, a.low, a.high, a.first_at, a.last_at, ARRAY[gen_random_uuid()], ARRAY[''], a.bytes, sha256(a.bytes::text::bytea), now(), a.locked, a.problem
		FROM t, (VALUES (0, 12418, timestamptz '2025-01-01 00:03Z', timestamptz '2025-01-31 23:58Z', 14203518, timestamptz '2026-03-01 00:00Z', ''),
			(12418, 22906, '2025-02-01 00:01Z', '2025-02-28 23:59Z', 11904213, NULL, 'the bucket does not lock objects')) AS a (low, high, first_at, last_at, bytes, locked, problem)`, biocore.Tenants[0].ID); err != nil {
		t.Fatal(err)
	}
}

// tamper changes the last user that was made into one that was refused, past all that keeps from it.
func tamper(t *testing.T, biocore *browsertest.Biocore) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), biocore.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	tag, err := conn.Exec(t.Context(), `WITH t AS (SELECT set_config('app.tenant_id', $1, false))
		UPDATE audit_entries SET entry = replace(entry, '"success"', '"denied"') FROM t WHERE tenant_id = $1::uuid AND action = 'user.create'`, biocore.Tenants[0].ID)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("tamper: %v, %v", tag, err)
	}
}

// holds checks the file of a proof as a third party does, and returns the log's key.
func holds(t *testing.T, file []byte) string {
	t.Helper()
	var p struct {
		Sequence    int64
		Entry       string
		Hashes      []merkle.Hash
		Checkpoint  struct{ Note string }
		VerifierKey string
	}
	if err := json.Unmarshal(file, &p); err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(p.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := merkle.Open(p.Checkpoint.Note, v)
	if err != nil || merkle.CheckEntry(c, p.Sequence, p.Entry, p.Hashes) != nil {
		t.Errorf("the file does not verify: %v\n%s", err, file)
	}
	return p.VerifierKey
}

// logSigner signs as a log does.
type logSigner struct {
	key  ed25519.PrivateKey
	v    note.Verifier
	text string
}

func (s logSigner) Name() string                    { return s.v.Name() }
func (s logSigner) KeyHash() uint32                 { return s.v.KeyHash() }
func (s logSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func newLogSigner(t *testing.T) logSigner {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("a key of this test and of no log"))
	public, _ := key.Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey("example/audit/1", public)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	return logSigner{key, v, text}
}

// maths holds what the page's script computes to what package merkle does: of trees of several sizes every entry, and each
// tree against each that it begins with; and that it takes nothing that package merkle refuses.
func (c colleague) maths(t *testing.T) {
	t.Helper()
	type inclusion struct {
		Seq    int64         `json:"seq"`
		Entry  string        `json:"entry"`
		Hashes []merkle.Hash `json:"hashes"`
	}
	type growth struct {
		From   string        `json:"from"`
		Hashes []merkle.Hash `json:"hashes"`
	}
	signer := newLogSigner(t)
	for _, size := range []int64{1, 2, 3, 5, 8, 300} {
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
			for _, i := range indexes {
				out = append(out, stored[i])
			}
			return out, nil
		})
		var edge merkle.Edge
		in := struct {
			Key        string      `json:"key"`
			Note       string      `json:"note"`
			Inclusions []inclusion `json:"inclusions"`
			Growths    []growth    `json:"growths"`
		}{Key: signer.text}
		var notes []string
		for seq := range size {
			entry := fmt.Sprintf(`{"n":%d,"name":"Zoë"}`, seq)
			more, err := tlog.StoredHashes(seq, merkle.Record(seq, entry), reader)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
			edge.Append(merkle.Leaf(seq, entry))
			signed, err := merkle.Checkpoint{Origin: signer.Name(), Size: edge.Size, Root: edge.Root()}.Sign(signer)
			if err != nil {
				t.Fatal(err)
			}
			notes = append(notes, signed)
			in.Inclusions = append(in.Inclusions, inclusion{Seq: seq, Entry: entry})
		}
		in.Note = notes[size-1]
		for i := range in.Inclusions {
			hashes, err := tlog.ProveRecord(size, int64(i), reader)
			if err != nil {
				t.Fatal(err)
			}
			in.Inclusions[i].Hashes = append([]merkle.Hash{}, hashes...)
		}
		for from := int64(1); from <= size; from++ {
			hashes, err := tlog.ProveTree(size, from, reader)
			if err != nil {
				t.Fatal(err)
			}
			in.Growths = append(in.Growths, growth{notes[from-1], append([]merkle.Hash{}, hashes...)})
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range browsertest.Eval[[]string](c.Visitor, fmt.Sprintf(mathsScript, text)) {
			t.Errorf("a log of %d entries: %s", size, wrong)
		}
	}
}

const mathsScript = `(async (log) => {
	const m = await import(document.querySelector('script[src$="console/audit.js"]').src.replace("audit.js", "merkle.js"));
	const wrong = [];
	const refused = async (what, work) => {
		try {
			await work();
			wrong.push(what + " is taken");
		} catch (error) {
			if (!(error instanceof m.Broken)) wrong.push(what + ": " + error);
		}
	};
	const key = await m.parseKey(log.key);
	const tree = await m.openCheckpoint(log.note, key);
	if (!tree.signed) wrong.push("this browser has no Ed25519");
	await refused("another text of the note", () => m.openCheckpoint(log.note.replace("\n", "\n1"), key));
	await refused("a key that is not whole", () => m.parseKey(log.key.replace(/.$/, (c) => c === "A" ? "B" : "A")));
	const root = async ({ seq, entry, hashes }) => {
		const computed = await m.rootOf(tree.size, seq, await m.leafHash(seq, entry), hashes.map(m.bytes));
		if (!m.same(computed, tree.root)) throw new m.Broken("another root");
	};
	for (const one of log.inclusions) {
		await root(one).catch((error) => wrong.push("entry " + one.seq + ": " + error));
		await refused("another text of entry " + one.seq, () => root({ ...one, entry: one.entry + " " }));
		await refused("entry " + one.seq + " at another place", () => root({ ...one, seq: one.seq + 1 }));
		await refused("a longer proof of entry " + one.seq, () => root({ ...one, hashes: [...one.hashes, m.base64(tree.root)] }));
		if (one.hashes.length > 0) await refused("a shorter proof of entry " + one.seq, () => root({ ...one, hashes: one.hashes.slice(1) }));
	}
	for (const { from, hashes } of log.growths) {
		const early = await m.openCheckpoint(from, key);
		const proof = hashes.map(m.bytes);
		await m.begins(early, tree, proof).catch((error) => wrong.push("from " + early.size + ": " + error));
		const other = { ...early, root: early.root.map((b) => b ^ 1) };
		await refused("another tree of " + early.size, () => m.begins(other, tree, proof));
		await refused("a longer proof from " + early.size, () => m.begins(early, tree, [...proof, tree.root]));
		if (proof.length > 0) await refused("a shorter proof from " + early.size, () => m.begins(early, tree, proof.slice(0, -1)));
	}
	return wrong;
})(%s)`
