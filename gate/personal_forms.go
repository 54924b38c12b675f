package gate

// numberForms are the forms that begin with a word of so many digits.
var numberForms = [20][]personalForm{
	1: {
		{"id-fr-nir", "9 99 99 99 999 999 99", frenchNIR},
		{"id-fr-nir", "9 99 99 9A 999 999 99", frenchNIR},
	},
	2: {
		{"id-es-dni", "99.999.999-A", spanishDNI},
		{"id-be-nrn", "99.99.99-999.99", belgianNRN},
		{"id-de-steuer-id", "99 999 999 999", germanSteuerID},
		{"id-br-cnpj", "NN.NNN.NNN/NNNN-99", brazilianCNPJ},
	},
	3: {
		{"id-us-ssn", "999-99-9999", americanSSN},
		{"id-br-cpf", "999.999.999-99", brazilianCPF},
		{"id-ca-sin", "999-999-999", canadianSIN},
		{"id-ca-sin", "999 999 999", canadianSIN},
		{"id-au-tfn", "999 999 999", australianTFN},
		{"id-pt-nif", "999 999 999", portugueseNIF},
	},
	4: {
		{"payment-card", "9999 9999 9999 9999", paymentCard},
		{"payment-card", "9999-9999-9999-9999", paymentCard},
		{"payment-card", "9999 9999 9999 9999 999", paymentCard},
		{"payment-card", "9999-9999-9999-9999-999", paymentCard},
		{"payment-card", "9999 999999 99999", paymentCard},
		{"payment-card", "9999-999999-99999", paymentCard},
		{"payment-card", "9999 999999 9999", paymentCard},
		{"payment-card", "9999-999999-9999", paymentCard},
		{"id-in-aadhaar", "9999 9999 9999", indianAadhaar},
		{"id-in-aadhaar", "9999-9999-9999", indianAadhaar},
	},
	6: {
		{"id-se-personnummer", "999999-9999", swedishNumber},
		{"id-se-personnummer", "999999+9999", swedishNumber},
		{"id-fi-hetu", "999999-999N", finnishHETU},
		{"id-fi-hetu", "999999+999N", finnishHETU},
		{"id-kr-rrn", "999999-9999999", koreanRRN},
		{"id-no-fnr", "999999 99999", norwegianNumber},
	},
	8: {
		{"id-es-dni", "99999999-A", spanishDNI},
		{"id-es-dni", "99999999 A", spanishDNI},
		{"id-se-personnummer", "99999999-9999", swedishNumber},
	},
	9: {
		{"id-nl-bsn", "999999999", dutchBSN},
		{"id-pt-nif", "999999999", portugueseNIF},
		{"id-ca-sin", "999999999", canadianSIN},
		{"id-au-tfn", "999999999", australianTFN},
		{"id-us-ssn", "999999999", americanSSN},
	},
	11: {
		{"id-de-steuer-id", "99999999999", germanSteuerID},
		{"id-be-nrn", "99999999999", belgianNRN},
		{"id-pl-pesel", "99999999999", polishPESEL},
		{"id-no-fnr", "99999999999", norwegianNumber},
		{"id-br-cpf", "99999999999", brazilianCPF},
	},
	12: {
		{"id-se-personnummer", "999999999999", swedishNumber},
		{"id-in-aadhaar", "999999999999", indianAadhaar},
	},
	13: {
		{"payment-card", "9999999999999", paymentCard},
		{"id-fr-nir", "9999999999999 99", frenchNIR},
		{"id-kr-rrn", "9999999999999", koreanRRN},
	},
	14: {
		{"payment-card", "99999999999999", paymentCard},
		{"id-br-cnpj", "99999999999999", brazilianCNPJ},
	},
	15: {
		{"payment-card", "999999999999999", paymentCard},
		{"id-fr-nir", "999999999999999", frenchNIR},
	},
	16: {{"payment-card", "9999999999999999", paymentCard}},
	17: {{"payment-card", "99999999999999999", paymentCard}},
	18: {
		{"payment-card", "999999999999999999", paymentCard},
		{"id-cn-resident", "99999999999999999X", chineseResident},
	},
	19: {{"payment-card", "9999999999999999999", paymentCard}},
}

// codeForms are those that begin with a word of so many letters and digits.
var codeForms = [19][]personalForm{
	2: {{"id-br-cnpj", "NN.NNN.NNN/NNNN-99", brazilianCNPJ}},
	9: {
		{"id-es-dni", "99999999A", spanishDNI},
		{"id-es-nie", "A9999999A", spanishNIE},
		{"id-uk-nino", "AA999999A", britishNINO},
	},
	11: {{"id-fi-hetu", "999999A999N", finnishHETU}},
	13: {{"id-fr-nir", "999999A999999 99", frenchNIR}},
	14: {{"id-br-cnpj", "NNNNNNNNNNNN99", brazilianCNPJ}},
	15: {{"id-fr-nir", "999999A99999999", frenchNIR}},
	16: {{"id-it-cf", "AAAAAANNANNANNNA", italianCF}},
	18: {{"id-cn-resident", "99999999999999999X", chineseResident}},
}

// These begin with letters that stand alone.
var (
	spacedNINO = personalForm{"id-uk-nino", "AA 99 99 99 A", britishNINO}
	dashedNIE  = personalForm{"id-es-nie", "A-9999999-A", spanishNIE}
)
