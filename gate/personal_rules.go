package gate

// personalRules are all kinds of data about people that are known.
func personalRules() []Rule {
	const scanner = "personal"
	id := func(rule string, severity Severity, what, how, source string) Rule {
		return Rule{rule, scanner, severity, what + "; it names one person for life", how, source}
	}
	return []Rule{
		{"payment-card", scanner, High, "The number of a payment card; whoever has it may pay with it", "a known issuer's prefix and length, the check digit of Luhn, consistent groups", "ISO/IEC 7812-1"},
		{"iban", scanner, High, "The number of a bank account; it names a person and can be debited", "the length of the country, remainder 1 by 97", "ISO 13616"},
		id("id-es-dni", High, "A Spanish DNI", "eight digits and the letter that they make; medium where it stands bare", "Real Decreto 1553/2005"),
		id("id-es-nie", High, "A Spanish foreigner's number", "X, Y or Z, seven digits, and the letter that they make", "Real Decreto 557/2011"),
		id("id-it-cf", High, "An Italian codice fiscale", "sixteen signs with a plausible birthday and the check letter", "D.M. 23/12/1976"),
		id("id-fr-nir", High, "A French social insurance number", "fifteen signs with a plausible month and the key by 97", "INSEE"),
		id("id-de-steuer-id", High, "A German tax number", "eleven digits, one of them repeated, MOD 11,10; beside its name, or medium in groups", "AO § 139b"),
		id("id-nl-bsn", High, "A Dutch BSN", "nine digits that pass the test of eleven, beside its name", "Wet algemene bepalingen burgerservicenummer"),
		id("id-be-nrn", High, "A Belgian national number", "a birthday and the key by 97; medium where it stands bare", "Koninklijk besluit 3 april 1984"),
		id("id-pl-pesel", High, "A Polish PESEL", "a birthday and the check digit; medium without its name", "Ustawa o ewidencji ludności"),
		id("id-se-personnummer", High, "A Swedish personnummer", "a birthday and Luhn's check digit; medium where it stands bare", "Skatteverket, SKV 704"),
		id("id-fi-hetu", High, "A Finnish personal identity code", "a birthday, the sign of the century, and the check sign", "Digital and Population Data Services Agency"),
		id("id-no-fnr", High, "A Norwegian fødselsnummer", "a birthday and two check digits", "Skatteetaten"),
		id("id-pt-nif", High, "A Portuguese NIF", "nine digits with the check digit, beside its name", "Decreto-Lei 14/2013"),
		id("id-uk-nino", Medium, "A British national insurance number", "the prefixes and suffixes that are given; low where it stands bare", "HMRC, NIM39110"),
		id("id-us-ssn", Medium, "A US social security number", "the areas that are given, with dashes, or beside its name", "SSA, POMS RM 10201"),
		id("id-br-cpf", High, "A Brazilian CPF", "two check digits, with its punctuation or beside its name", "Receita Federal"),
		id("id-br-cnpj", High, "A Brazilian CNPJ", "two check digits, with its punctuation or beside its name; also with letters", "Receita Federal, IN RFB 2229/2024"),
		id("id-in-aadhaar", High, "An Indian Aadhaar number", "the check digit of Verhoeff, beside its name, or medium in groups of four", "UIDAI"),
		id("id-cn-resident", High, "A Chinese resident identity number", "a birthday and MOD 11-2", "GB 11643"),
		id("id-kr-rrn", High, "A South Korean resident registration number", "a birthday, and the check digit or its name", "Resident Registration Act"),
		id("id-ca-sin", High, "A Canadian social insurance number", "Luhn's check digit, beside its name, or medium with dashes", "ESDC"),
		id("id-au-tfn", High, "An Australian tax file number", "nine digits with the weighted remainder by 11, beside its name", "ATO"),
		{"email", scanner, Low, "An address for e-mail; it reaches one person", "a local part, @ and the name of a host; info in domains that are kept for examples", "RFC 5321"},
		{"phone", scanner, Low, "A telephone number; it reaches one person", "the + and code of a country, or groups beside a word for telephones", "ITU-T E.164"},
		{"ip-address", scanner, Low, "A network address; it leads to one household", "a whole address that is no version; info where it is private, or kept for examples", "RFC 4291, RFC 5735"},
	}
}
