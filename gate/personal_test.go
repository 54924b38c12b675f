package gate

import (
	"strings"
	"testing"
)

var personalCases = []struct {
	text string
	want string // rule and severity; empty: nothing
	why  string
}{
	{"4111111111111111", "payment-card/high", "Visa's test number"},
	{"4111111111111112", "", "its check digit is wrong"},
	{"4111 1111 1111 1111", "payment-card/high", "in groups"},
	{"4111 1111 1111 1112", "", "in groups, its check digit is wrong"},
	{"4111-1111-1111-1111", "payment-card/high", "with dashes"},
	{"4111-1111 1111-1111", "", "its groups are not consistent"},
	{`{"pan":"5555555555554444"}`, "payment-card/high", "Mastercard"},
	{"2223003122003222", "payment-card/high", "Mastercard's newer range"},
	{"378282246310005", "payment-card/high", "American Express"},
	{"3782 822463 10005", "payment-card/high", "American Express in its groups"},
	{"3782 822463 10006", "", "its check digit is wrong"},
	{"6011111111111117", "payment-card/high", "Discover"},
	{"30569309025904", "payment-card/high", "Diners Club"},
	{"3530111333300000", "payment-card/high", "JCB"},
	{"6200000000000005", "payment-card/high", "UnionPay"},
	{"card 4222222222222", "payment-card/high", "a length of old beside a word"},
	{"order 4222222222222", "", "a length of old alone"},
	{"0.4111111111111111", "", "a fraction"},
	{"a4111111111111111", "", "a part of a name"},
	{"41111111111111110000", "", "a part of a longer number"},
	{"00000010: 4111 1111 1111 1111 3034 3536 3738 3941", "", "the dump of a file"},
	{"4111 1111 1111 1111 1227 123", "payment-card/high", "with its date and code"},
	{"add(-2251797666199552)", "", "a number below zero"},
	{"id: 1234567812345670", "", "an order: no issuer's number begins so"},

	{"DE89370400440532013000", "iban/high", "the example of the registry"},
	{"DE88370400440532013000", "", "its check digits are wrong"},
	{"DE89 3704 0044 0532 0130 00", "iban/high", "in groups"},
	{"DE89 3704 0044 0532 0130 01", "", "in groups and wrong"},
	{"GB29 NWBK 6016 1331 9268 19.", "iban/high", "with letters, at the end of a sentence"},
	{"NO9386011117947", "iban/high", "the shortest"},
	{"MT84MALT011000012345MTLCAST001S", "iban/high", "the longest but for two"},
	{"XX89370400440532013000", "", "no such country"},

	{"dni 12345678Z", "id-es-dni/high", "beside its name"},
	{"12345678Z", "id-es-dni/medium", "bare"},
	{"12345678A", "", "its letter is wrong"},
	{"12.345.678-Z", "id-es-dni/high", "with dots"},
	{"12345678-Z", "id-es-dni/medium", "with a dash"},
	{"X1234567L", "id-es-nie/high", "a foreigner's"},
	{"X-1234567-L", "id-es-nie/high", "with dashes"},
	{"X1234567M", "", "its letter is wrong"},
	{"RSSMRA85T10A562S", "id-it-cf/high", "the example of Wikipedia"},
	{"RSSMRA85T10A562T", "", "its check letter is wrong"},
	{"255081416802538", "id-fr-nir/high", "the example of Wikipedia"},
	{"2 55 08 14 168 025 38", "id-fr-nir/high", "in groups"},
	{"255081416802539", "", "its key is wrong"},
	{"1 85 05 2A 123 456 33", "id-fr-nir/high", "born in Corsica"},
	{"1 85 05 2B 123 456 33", "", "born in Corsica, the key of another"},
	{"Steuer-ID: 86095742719", "id-de-steuer-id/high", "the example of the BZSt"},
	{"86 095 742 719", "id-de-steuer-id/medium", "in groups"},
	{"order 86095742719", "", "bare"},
	{"Steuer-ID: 86095742718", "", "its check digit is wrong"},
	{"BSN: 111222333", "id-nl-bsn/high", "beside its name"},
	{"111222333", "", "bare"},
	{"BSN: 111222334", "", "it fails the test of eleven"},
	{"85.07.30-033.28", "id-be-nrn/high", "with its punctuation"},
	{"85073003328", "id-be-nrn/medium", "bare"},
	{"85.07.30-033.29", "", "its key is wrong"},
	{"PESEL 44051401359", "id-pl-pesel/high", "the example of Wikipedia"},
	{"44051401359", "id-pl-pesel/medium", "bare"},
	{"PESEL 44051401358", "", "its check digit is wrong"},
	{"811218-9876", "id-se-personnummer/high", "the example of Skatteverket"},
	{"19811218-9876", "id-se-personnummer/high", "with the century"},
	{"198112189876", "id-se-personnummer/medium", "bare"},
	{"811218-9875", "", "its check digit is wrong"},
	{"131052-308T", "id-fi-hetu/high", "the example of the agency"},
	{"131052-308U", "", "its check sign is wrong"},
	{"131052A308T", "id-fi-hetu/high", "born since 2000"},
	{"01010750160", "id-no-fnr/high", "a number of a test"},
	{"010107 50160", "id-no-fnr/high", "with a blank"},
	{"01010750161", "", "its check digit is wrong"},
	{"NIF 123456789", "id-pt-nif/high", "beside its name"},
	{"123456789", "", "bare"},
	{"NIF 123456788", "", "its check digit is wrong"},
	{"AB 12 34 56 C", "id-uk-nino/medium", "in pairs"},
	{"AB123456C", "id-uk-nino/low", "bare"},
	{"AB 12 34 56 E", "", "no such suffix"},
	{"GB 12 34 56 C", "", "no such prefix"},
	{"123-45-6789", "id-us-ssn/medium", "with dashes"},
	{"078-05-1120", "", "of an advertisement"},
	{"666-45-6789", "", "no such area"},
	{"900-45-6789", "", "no such area"},
	{"123-45-6789-1", "", "a part of something longer"},
	{"111.444.777-35", "id-br-cpf/high", "with its punctuation"},
	{"111.444.777-36", "", "its check digit is wrong"},
	{"cpf=11144477735", "id-br-cpf/high", "beside its name"},
	{"11.222.333/0001-81", "id-br-cnpj/high", "with its punctuation"},
	{"11.222.333/0001-82", "", "its check digit is wrong"},
	{"12.ABC.345/01DE-35", "id-br-cnpj/high", "the example of the Receita with letters"},
	{"aadhaar 234123412346", "id-in-aadhaar/high", "beside its name"},
	{"2341 2341 2346", "id-in-aadhaar/medium", "in groups"},
	{"2341 2341 2347", "", "its check digit is wrong"},
	{"2341 2341 2346 1111", "", "a part of more groups"},
	{"11010519491231002X", "id-cn-resident/high", "the example of the standard"},
	{"身份证11010519491231002X号", "id-cn-resident/high", "between signs of more than a byte"},
	{"110105194912310021", "", "its check digit is wrong"},
	{"110105194913310028", "", "no such month"},
	{"RRN 900101-1234568", "id-kr-rrn/high", "with its check digit"},
	{"900101-1234569", "", "its check digit is wrong"},
	{"RRN 900101-1234569", "id-kr-rrn/medium", "given since there are none"},
	{"130-692-544", "id-ca-sin/medium", "with dashes"},
	{"SIN 130 692 544", "id-ca-sin/high", "beside its name"},
	{"SIN 130 692 545", "", "its check digit is wrong"},
	{"130 692 544", "", "a number with blanks at each thousand"},
	{"TFN 123 456 782", "id-au-tfn/high", "beside its name"},
	{"TFN 123 456 783", "", "its remainder is wrong"},

	{"ann@kavach.dev", "email/low", "an address"},
	{"<Ann.Lee+x@Mail.Kavach.DEV>", "email/low", "with all that people have"},
	{"Email:ann@kavach.dev, …", "email/low", "after a colon"},
	{"ann@example.com", "email/info", "nobody has it"},
	{"logo@2x.png", "", "the name of a file"},
	{"getty@tty1.service", "", "the name of a unit"},
	{"left-pad@1.3.0", "", "a version"},
	{"git@github.com:a/b.git", "", "where a repository is"},
	{"https://ann:secret@host.kavach.dev/", "", "a user of a URL"},
	{"a@b", "", "no domain"},
	{"W@x.mean()", "", "a product of matrices"},
	{"@app.route", "", "a decorator"},

	{"+49 30 901820", "phone/low", "international"},
	{"+1 (415) 555-0132", "phone/low", "with parentheses"},
	{"+4915112345678", "", "a line that a patch adds"},
	{"call +4915112345678", "phone/low", "in one group"},
	{"tel. 030 / 901820", "", "two separators, and no telephone's"},
	{"tel. 030/901820", "phone/low", "national, beside its word"},
	{"Phone: (415) 555-0132", "phone/low", "national with parentheses"},
	{"room 415 555-0132", "", "national, and no word for it"},
	{"2026-11-24T10:00:00+0200", "", "a zone"},
	{"1e+123456789", "", "a float"},

	{"from 8.8.8.8 port 22", "ip-address/low", "an address"},
	{"http://8.8.8.8:80/", "ip-address/low", "in a URL"},
	{"192.168.1.1", "ip-address/info", "private"},
	{"203.0.113.9", "ip-address/info", "kept for documentation"},
	{"version 8.8.8.8", "", "a version"},
	{"v8.8.8.8", "", "a version"},
	{"foo==8.8.8.8", "", "a version"},
	{"Chrome/91.0.44.77", "", "a version"},
	{"8.8.8.8.8", "", "five numbers"},
	{"8.8.8.256", "", "no byte"},
	{"2a00:1450:4001:81c::200e", "ip-address/low", "version 6"},
	{"addr=[2a00:1450:4001:81c::200e]:443", "ip-address/low", "with a port"},
	{"2001:db8::1", "ip-address/info", "kept for documentation"},
	{"fe80::1", "ip-address/info", "of a link"},
	{"2a00:1450:4001:81c:0:0:0:200e", "ip-address/low", "in full"},
	{"00:11:22:33:44:55", "", "of a network card"},
	{"00:11:22:33:44:55:66:77", "", "a fingerprint, or of a network card"},
	{"10:20:30", "", "a time"},
	{"dli (2::", "", "a group and two colons at the end"},
	{"fee::Add1", "", "a name in a program"},

	{"550e8400-e29b-41d4-a716-446655440000", "", "a UUID"},
	{"41111111-1111-1111-1111-411111111111", "", "a UUID of digits"},
	{"d41d8cd98f00b204e9800998ecf8427e", "", "a hash"},
	{"1763942400000 1763942400000000 1763942400000000000", "", "times in ms, µs and ns"},
	{"4503599627370496 9007199254740991", "", "powers of two"},
	{"3.14159265358979 6.02214076e23", "", "floats"},
	{`"integrity": "sha512-4Zv+9R7T4111111111111111abcdefNqkLg=="`, "", "a lock file"},
	{"e=4294967295,t=1e3,n=function(e){return e>>>0}", "", "minified JavaScript"},
}

func TestPersonal(t *testing.T) {
	for _, c := range personalCases {
		for _, frame := range [][2]string{{"", ""}, {"x = [", "]\n"}, {"say ", " now"}} {
			if strings.HasPrefix(c.text, "+4915") && frame[0] != "" {
				continue // what is at the beginning of a line is meant
			}
			text := frame[0] + c.text + frame[1]
			got := ""
			for _, m := range splitEverywhere(t, Personal(), Subject{Name: "stdout"}, []byte(text)) {
				got += " " + m.Rule + "/" + m.Severity.String()
			}
			if got = strings.TrimPrefix(got, " "); got != c.want {
				t.Errorf("%q: found %q, want %q: %s", text, got, c.want, c.why)
			}
		}
	}
}

// TestPersonalRulesAreListed holds what is reported against what is said to be.
func TestPersonalRulesAreListed(t *testing.T) {
	listed := map[string]Severity{}
	for _, r := range Personal().Rules() {
		listed[r.ID] = r.Severity
	}
	seen := map[string]bool{}
	for _, c := range personalCases {
		rule, _, _ := strings.Cut(c.want, "/")
		if rule != "" && listed[rule] == 0 {
			t.Errorf("%s is reported, and not listed", rule)
		}
		seen[rule] = true
	}
	for rule := range listed {
		if !seen[rule] {
			t.Errorf("%s is listed, and no case finds it", rule)
		}
	}
}

// TestPersonalHoldsLittle: what a search waits for is a word, and not a line.
func TestPersonalHoldsLittle(t *testing.T) {
	for _, c := range []struct {
		text string
		held int
		why  string
	}{
		{"an ordinary sentence ", 0, "nothing begins there"},
		{"an ordinary word", 4, "it may become an address"},
		{"card 4111 1111 ", 10, "it may become a card"},
		{"card 4111 1111 1111 1111\n", 0, "it is found"},
		{"born in 1987 ", 5, "groups of four may follow"},
	} {
		hold := Personal().New(Subject{}).Next(Window{Data: []byte(c.text)}, func(Match) {})
		if held := len(c.text) - int(hold.Soft); held != c.held || int(hold.Hard) != len(c.text) {
			t.Errorf("%q: %d bytes are held, want %d: %s", c.text, held, c.held, c.why)
		}
	}
}

func FuzzPersonal(f *testing.F) {
	for _, c := range personalCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2000 {
			splitEverywhere(t, Personal(), Subject{}, data)
		}
	})
}

func BenchmarkPersonal(b *testing.B) {
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) { benchSearch(b, Personal(), Subject{}, text) })
	}
}
