# Removes everything that mikrotik.rsc created. Set the first two values as in that script, then run
#
#     /import mikrotik-remove.rsc
{
:local onDisk "usb1"
:local agentAddress "172.31.86.2"
# Whether to remove the files, too: sites.ron, the password and the image. yes or no.
:local filesToo "no"

# Commands of /container are in [:parse], because without the package the menu does not exist. A container can be removed
# only after it has stopped, which takes a moment.
:local tries 0
:do {
    :local left [:parse ":return [:len [/container/find where comment=\"phsweb-agent\"]]"]
    :local stopIt [:parse "/container/stop [/container/find where comment=\"phsweb-agent\"]"]
    :local removeIt [:parse "/container/remove [/container/find where comment=\"phsweb-agent\"]"]
    :while ([$left] > 0 && $tries < 60) do={
        :do { $stopIt } on-error={}
        :delay 2s
        :do { $removeIt } on-error={}
        :set tries ($tries + 1)
    }
    :local removeMounts [:parse "/container/mounts/remove [/container/mounts/find where comment=\"phsweb-agent\"]"]
    $removeMounts
} on-error={
    :put "phsweb-agent: the container and its mount can't be removed. Is the package container installed?"
}
:if ($tries = 60) do={
    :error "phsweb-agent: the container can't be removed. Look at /container/print, then run this again."
}

# The other addresses of the API stay. An empty list would permit everybody, so if no other address is left, the API is
# disabled.
:local release [/system/resource/get version]
:local api [/ip/service/find where name="api"]
:local listName "address"
:if ($release ~ "^(7[.](19|[2-9][0-9])|[89][.])") do={
    :local findApi [:parse ":return [/ip/service/find where name=\"api\" and !dynamic]"]
    :set api [$findApi]
}
:if ($release ~ "^(7[.](2[4-9]|[3-9][0-9])|[89][.])") do={ :set listName "available-from" }
:local rest ""
:local known false
:foreach one in=[:toarray [/ip/service/get $api value-name=$listName]] do={
    :if ([:tostr $one] = "$agentAddress/32") do={
        :set known true
    } else={
        :if ($rest != "") do={ :set rest ($rest . ",") }
        :set rest ($rest . [:tostr $one])
    }
}
:if ($known) do={
    :if ($rest = "") do={
        /ip/service/set $api disabled=yes address=""
        :put "phsweb-agent: the API permitted no other address, so it is disabled now."
    } else={
        /ip/service/set $api address=$rest
    }
}
/user/remove [find where name="phsweb-agent"]
/user/group/remove [find where name="phsweb-agent"]

/ip/firewall/nat/remove [find where comment~"^phsweb-agent: "]
/ip/firewall/filter/remove [find where comment~"^phsweb-agent: "]
/ip/address/remove [find where interface="phsweb-agent"]
/interface/bridge/port/remove [find where interface="veth-phsweb"]
/interface/bridge/remove [find where name="phsweb-agent"]
/interface/veth/remove [find where name="veth-phsweb"]

# Removing a folder removes its files, so some of these removals may fail.
:if ($filesToo = "yes") do={
    :foreach one in=[/file/find where name~"^$onDisk/phsweb-agent(-root)?/" or \
        name~"^$onDisk/phsweb-agent-(arm64|armv7|armv5|amd64)[.]tar"] do={
        :do { /file/remove $one } on-error={}
    }
    :foreach one in=[/file/find where name="$onDisk/phsweb-agent" or name="$onDisk/phsweb-agent-root"] do={
        :do { /file/remove $one } on-error={}
    }
}
:put "phsweb-agent: removed. Look at /file/print for what is left of its files."
}
