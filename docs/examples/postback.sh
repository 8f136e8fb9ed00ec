#!/bin/sh
# Reports a conversion: postback.sh TRACKER PROGRAM KEY TRANSACTION CLICK_ID VALUE CURRENCY
# What it is given here needs no percent-encoding; the parameters are in the order of their names.
query="clickId=$5&currency=$7&timestamp=$(date +%s)&transaction=$4&value=$6"
signature=$(printf 'postback\n%s\n%s' "$2" "$query" |
    openssl dgst -sha256 -hmac "$3" -binary | base64 | tr '+/' '-_' | tr -d '=\n')
curl -s "$1/postback/$2?$query&signature=$signature"
