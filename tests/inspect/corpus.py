"""Lines that are typed into redis-cli: replies of every type, and every way to quote."""

from __future__ import annotations

LINES = r"""
PING
ping hello
PING "hello world"
ECHO ""
echo "a\x00b\xff\n\r\t\a\b\"\\"
ECHO 'it\'s'
ECHO 'no \n escape'
ECHO "\q\x4"
ECHO "\xZZ"
ECHO "unfinished
ECHO 'unfinished
ECHO "a"b
ECHO 'a'b
ECHO a"b"
ECHO a'b
ECHO äöü€😀
ECHO "\xc3\xa9"
   ECHO   blanks
ECHO "tab	in quotes"
2 ECHO twice
0 ECHO never
-1 ECHO never
3
FOO
FOO bar "b a z"
foo 'with "quotes"' and\backslash
GET
SET a 1
GET a
GET missing
SET a 1 XX GET
SET nothing 1 XX
SET a 2 NX
SETEX b 100 "two words"
SETNX a 3
GETSET a "new"
GETDEL a
STRLEN b
APPEND b "\x01\x02"
GET b
GETRANGE b 0 2
SETRANGE b 2 "xx"
INCR n
INCRBY n 41
DECR n
INCR b
INCRBYFLOAT f 3.25
INCRBYFLOAT f -0.5
INCRBYFLOAT f 1e20
MSET x 1 y 2
MGET x y z
MSETNX x 1 z 2
EXISTS x y z
DEL z
TYPE x
TYPE nothing
RENAME x xx
RENAME nothing other
RENAMENX xx y
TTL y
PERSIST y
EXPIRE y 1000
PTTL nothing
OBJECT ENCODING n
OBJECT ENCODING nothing
OBJECT REFCOUNT y
DBSIZE
KEYS nothing*
SELECT 3
DBSIZE
SET here 1
SELECT 99
SELECT 0
SWAPDB 0 0
RPUSH l a b "c d" "\x80"
LRANGE l 0 -1
LRANGE l 5 10
LRANGE missing 0 -1
LLEN l
LINDEX l 0
LINDEX l 100
LSET l 0 first
LSET l 100 none
LINSERT l BEFORE b between
LPOS l nothing
LPOS l b RANK 1 COUNT 0
LPOP l
LPOP l 2
LPOP missing
LPOP missing 2
RPOP l
LMOVE l m LEFT RIGHT
LTRIM l 1 0
BLPOP m 1
BLPOP m 0.01
BLMPOP 0.01 1 m LEFT
LMPOP 2 m mm LEFT COUNT 2
GET l
RPUSH many 1 2 3 4 5 6 7 8 9 10 11
LRANGE many 0 -1
SADD s only
SMEMBERS s
SADD ints 3 1 2
SMEMBERS ints
SISMEMBER ints 3
SMISMEMBER ints 3 4
SCARD ints
SINTER s ints
SPOP s
SPOP s
SRANDMEMBER s
SRANDMEMBER s 3
HSET h field value other "two words"
HGETALL h
HGETALL missing
HGET h field
HGET h missing
HMGET h field missing
HKEYS h
HVALS h
HLEN h
HINCRBY h count 3
HINCRBYFLOAT h ratio 0.1
HRANDFIELD h 0
HSTRLEN h field
HEXISTS h missing
HDEL h field other missing
HSCAN h 0
ZADD z 1 one 2 two 3.5 "three and a half"
ZADD z GT CH 0.5 one 4 two
ZADD z INCR 2 one
ZADD z NX INCR 2 one
ZRANGE z 0 -1
ZRANGE z 0 -1 WITHSCORES
ZRANGE z 0 -1 REV WITHSCORES
ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 2
ZSCORE z one
ZSCORE z missing
ZMSCORE z one missing
ZADD inf inf up -inf down
ZRANGE inf 0 -1 WITHSCORES
ZRANK z two
ZRANK z missing
ZREVRANK z two
ZCARD z
ZCOUNT z 0 10
ZPOPMIN z
ZPOPMIN missing
ZPOPMAX z 2
ZMPOP 1 z MIN
ZMPOP 1 missing MIN
BZPOPMIN z 0.01
ZUNION 2 inf z WITHSCORES
ZRANDMEMBER missing 2 WITHSCORES
ZINCRBY z 1e300 big
ZADD z nan x
ZSCAN inf 0
XADD stream 1-1 field value
XADD stream 1-2 a 1 b 2
XADD stream 1-1 late 1
XLEN stream
XRANGE stream - +
XRANGE stream - + COUNT 1
XREVRANGE stream + -
XREAD COUNT 5 STREAMS stream 0
XREAD STREAMS stream 9
XGROUP CREATE stream group 0
XGROUP CREATE stream group 0
XREADGROUP GROUP group ada COUNT 1 STREAMS stream >
XREADGROUP GROUP group ada COUNT 1 STREAMS stream 0
XPENDING stream group
XACK stream group 1-1
XPENDING stream group
XPENDING stream group - + 10
XINFO GROUPS missing
XAUTOCLAIM stream group bob 0 0
XCLAIM stream group bob 0 7-7
XDEL stream 1-1
XTRIM stream MAXLEN 0
XRANGE stream - +
SETBIT bits 7 1
GETBIT bits 7
BITCOUNT bits
BITPOS bits 1
BITFIELD bits SET u8 0 255 GET i8 0 OVERFLOW FAIL INCRBY u8 0 1
PFADD hll a b c
PFCOUNT hll
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEODIST geo Palermo Catania km
GEOPOS geo Palermo missing
GEOHASH geo Palermo missing
GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST
MULTI
SET in-transaction 1
INCR in-transaction
LPUSH in-transaction oops
GET in-transaction
EXEC
MULTI
FOO
EXEC
MULTI
DISCARD
EXEC
DISCARD
WATCH y
UNWATCH
EVAL "return 1" 0
EVAL "return 'text'" 0
EVAL "return 3.99" 0
EVAL "return nil" 0
EVAL "return false" 0
EVAL "return true" 0
EVAL "return {}" 0
EVAL "return {1,'two',{3,{4,{}}},nil,5}" 0
EVAL "return {{1,2},{3,{4,5}},{}}" 0
EVAL "return redis.status_reply('FINE')" 0
EVAL "return redis.error_reply('MY own error')" 0
EVAL "return {redis.error_reply('ERR one'), redis.status_reply('two')}" 0
EVAL "return redis.call('FOO')" 0
EVAL "return KEYS[1] .. ARGV[1]" 1 key " and more"
EVAL "syntax error here" 0
EVAL "redis.setresp(3); return redis.call('HGETALL', 'h')" 0
EVAL "redis.setresp(3); return {map={a=1}}" 0
EVAL "redis.setresp(3); return {map={nested={map={deeper={1,2,{map={}}}}}}}" 0
EVAL "redis.setresp(3); return {set={member=true}}" 0
EVAL "redis.setresp(3); return {set={}}" 0
EVAL "redis.setresp(3); return {map={a={set={x=true}}}}" 0
EVAL "redis.setresp(3); return {map={a={1,{set={x=true}}}}}" 0
EVAL "redis.setresp(3); return {{map={a={map={b={{1,2},3}}}}},2}" 0
EVAL "redis.setresp(3); return {map={}}" 0
EVAL "redis.setresp(3); return {double=3.25}" 0
EVAL "redis.setresp(3); return {double=1e300}" 0
EVAL "redis.setresp(3); return {1, {double=0.1}, true, false, {set={x=true}}}" 0
EVAL "redis.setresp(3); return {verbatim_string={format='txt',string='two\nlines \"quoted\"'}}" 0
EVAL "local t = {} for i = 1, 120 do t[i] = i end return t" 0
EVAL "local t = {} for i = 1, 12 do t[i] = {i, {i}} end return t" 0
EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff
SCRIPT LOAD "return 7"
CONFIG GET maxmemory
CONFIG GET nothing-like-this
CONFIG SET maxmemory nonsense
CONFIG SET nothing 1
COMMAND COUNT EXTRA
COMMAND GETKEYS SET a b
COMMAND GETKEYS PING
COMMAND INFO nothing
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CLIENT SETNAME "with blank"
CLIENT NO-EVICT on
CLIENT TRACKINGINFO
OBJECT HELP
MEMORY DOCTOR
MEMORY USAGE y
MEMORY USAGE missing
LATENCY LATEST
LATENCY DOCTOR
SLOWLOG LEN
SLOWLOG GET 0
DEBUG nothing
WAIT 0 1
PUBLISH nobody hello
PUBSUB CHANNELS
PUBSUB NUMSUB a b
PUBSUB NUMPAT
ACL WHOAMI
ACL LIST extra
ACL CAT nothing
ACL GETUSER nobody
AUTH wrong
AUTH a b c d
HELLO 9
HELLO 2 AUTH
CLUSTER INFO
ROLE extra
LOLWUT VERSION 0
COPY y copy
COPY missing copy
DUMP missing
RESTORE broken 0 "nonsense"
SORT many DESC LIMIT 0 3
SORT many BY nosort GET # LIMIT 0 2
SCAN 0 MATCH nothing COUNT 1000
SCAN nonsense
UNLINK many missing
TOUCH y missing
FLUSHDB ASYNC
FLUSHALL SYNC
""".strip("\n").splitlines()
