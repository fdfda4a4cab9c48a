# Becomes the program of its arguments, and kills it once standard input ends: the program dies with
# whoever started it and holds the other end, however that one dies. A line instead of the end calls
# the guard off.
exec 3<&0 </dev/null
(
    trap '' HUP INT TERM
    read -r _ <&3 || kill -9 $$
) &
exec 3<&-
exec "$@"
