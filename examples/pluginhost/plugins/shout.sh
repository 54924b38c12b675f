# A plugin in sh, which any command can be: it answers each request with its
# params in capitals. Requests come as {"id":1,"method":"…","params":"…"}, the
# keys in this order; a shell is no place to parse more than that.
while read -r line; do
	id=${line#*\"id\":}
	id=${id%%,*}
	text=${line#*\"params\":}
	printf '{"id":%s,"result":%s}\n' "$id" "$(printf %s "${text%\}}" | tr a-z A-Z)"
done
