# Runs the phsweb-agent in a container on this router and lets it query this router. docs/install-mikrotik.md has the same
# steps by hand, and how to upgrade. Upload this file, and the tar of the image to the disk. Set the values below, then run
#
#     /import mikrotik.rsc
#
# It needs RouterOS 7.10 and a user of the group `full`. It may be run again: it adds what is missing and keeps what
# exists. To change a value, run mikrotik-remove.rsc first.
{
# The disk, or folder, for the tar and all other files, as /file/print names it.
:local onDisk "usb1"
# The image for the architecture `arm` (32 bits): armv5 runs on all of these routers, armv7 only on ARMv7 CPUs.
:local armImage "armv5"
# The network from which the page is reachable.
:local readers "192.168.88.0/24"
# The port of the page at the router's own addresses.
:local pagePort "8080"
# The router's address in a network of two addresses that nothing else uses (a /30),
:local routerAddress "172.31.86.1"
# and the agent's address in it.
:local agentAddress "172.31.86.2"
# The agent's policies: `api,read` to read; `api,read,write` lets the admin of the page disconnect users.
:local agentMay "api,read"
# Whether it also queries other routers, which then see this router's address: yes or no.
:local otherRouters "yes"
# The memory limit of the container, from RouterOS 7.20 on. The agent needs a few MB.
:local memoryLimit "32M"

# Commands that an older RouterOS, or one without containers, does not know are in [:parse], which is evaluated when it
# runs. An unknown word elsewhere would prevent everything between the outer braces from running, including the checks.

# Check all requirements before anything is changed.
:local release [/system/resource/get version]
:if (!($release ~ "^(7[.][1-9][0-9]|[89][.])")) do={
    :error "phsweb-agent: RouterOS $release is too old. Upgrade to 7.10 or later."
}
:local from719 ($release ~ "^(7[.](19|[2-9][0-9])|[89][.])")
:local from720 ($release ~ "^(7[.][2-9][0-9]|[89][.])")
:local from721 ($release ~ "^(7[.](2[1-9]|[3-9][0-9])|[89][.])")
:local from724 ($release ~ "^(7[.](2[4-9]|[3-9][0-9])|[89][.])")
:local processor [/system/resource/get architecture-name]
:local image ""
:if ($processor = "arm64") do={ :set image "arm64" }
:if ($processor = "arm") do={ :set image $armImage }
:if ($processor ~ "^x86") do={ :set image "amd64" }
:if ($image = "") do={
    :error "phsweb-agent: this router is $processor. RouterOS has containers on arm, arm64 and x86 only."
}
:do {
    :local look [:parse "/container/find"]
    $look
} on-error={
    :error "phsweb-agent: install the package container of RouterOS $release for $processor."
}
:local mode "no"
:do { :set mode [:tostr [/system/device-mode/get container]] } on-error={}
:if ($mode != "yes" && $mode != "true") do={
    :put "Run /system/device-mode/update container=yes and press the reset button when it asks for it."
    :error "phsweb-agent: the device-mode of this router allows no containers."
}
:if ([:len [/file/find where name=$onDisk]] = 0) do={
    :error "phsweb-agent: there is no disk $onDisk. Look at /file/print and set it at the top of this script."
}
:local tarFile "$onDisk/phsweb-agent-$image.tar"
:if ([:len [/file/find where name=$tarFile]] = 0) do={
    :error "phsweb-agent: this router is $processor and needs $tarFile, which is not there. Upload it."
}
:if ([:len [/ip/dns/get servers]] = 0 && [:len [/ip/dns/get dynamic-servers]] = 0) do={
    :error "phsweb-agent: containers start only if the router has a DNS server. Set one: /ip/dns/set servers=..."
}

# The network of router and agent.
:if ([:len [/interface/veth/find where name="veth-phsweb"]] = 0) do={
    /interface/veth/add name=veth-phsweb address="$agentAddress/30" gateway=$routerAddress
}
:if ([:len [/interface/bridge/find where name="phsweb-agent"]] = 0) do={
    /interface/bridge/add name=phsweb-agent
}
:if ([:len [/interface/bridge/port/find where interface="veth-phsweb"]] = 0) do={
    /interface/bridge/port/add bridge=phsweb-agent interface=veth-phsweb
}
:if ([:len [/ip/address/find where interface="phsweb-agent"]] = 0) do={
    /ip/address/add address="$routerAddress/30" interface=phsweb-agent
}

# Permit the agent to use the API, in addition to the addresses in its list. `address=` replaces the whole list, so the
# script reads it and writes it with one more. An empty list permits everybody: if the API is enabled, it stays empty, and
# the script prints a warning. If the API is disabled, it is enabled for the agent only.
# From 7.19 on the menu also lists open connections, as dynamic rows of the same name. From 7.24 on the list is shown as
# `available-from`; both names set it.
:local api [/ip/service/find where name="api"]
:local listName "address"
:if ($from719) do={
    :local findApi [:parse ":return [/ip/service/find where name=\"api\" and !dynamic]"]
    :set api [$findApi]
}
:if ($from724) do={ :set listName "available-from" }
:local apiPort [/ip/service/get $api port]
:local apiOff [/ip/service/get $api disabled]
:local answered [:toarray [/ip/service/get $api value-name=$listName]]
:local agentOnly "$agentAddress/32"
:local known false
:local joined ""
:foreach one in=$answered do={
    :if ([:tostr $one] = $agentOnly) do={ :set known true }
    :set joined ($joined . [:tostr $one] . ",")
}
:if ($apiOff) do={
    :if ($joined != "") do={ :put "phsweb-agent: the API was off, and its list was $joined Now it permits the agent only." }
    :set known false
    :set joined ""
}
:if (!$known && ($apiOff || [:len $answered] > 0)) do={
    /ip/service/set $api address=($joined . $agentOnly)
}
:if ($apiOff) do={
    /ip/service/set $api disabled=no
} else={
    :if ([:len $answered] = 0) do={
        :put "phsweb-agent: the API of this router permits everybody. Limit it: /ip/service/set [find name=api and !dynamic] address=..."
    }
}

# The agent may reach the API, the readers may reach the page, and all other connections to the agent are dropped. A rule
# must precede other rules that drop, so each is moved to the top of its chain: the last one here is the first there. All
# three exist, or none.
:if ([:len [/ip/firewall/filter/find where comment="phsweb-agent: page"]] = 0) do={
    /ip/firewall/filter/remove [find where comment~"^phsweb-agent: "]
    :local above [/ip/firewall/filter/find where chain="input" and dynamic=no]
    :local added [/ip/firewall/filter/add chain=input action=accept protocol=tcp dst-port=$apiPort \
        src-address=$agentAddress in-interface=phsweb-agent comment="phsweb-agent: API"]
    :if ([:len $above] > 0) do={ /ip/firewall/filter/move $added destination=($above->0) }
    :set above [/ip/firewall/filter/find where chain="forward" and dynamic=no]
    :set added [/ip/firewall/filter/add chain=forward action=drop connection-state=new \
        dst-address=$agentAddress comment="phsweb-agent: nobody else"]
    :if ([:len $above] > 0) do={ /ip/firewall/filter/move $added destination=($above->0) }
    :set above $added
    :set added [/ip/firewall/filter/add chain=forward action=accept protocol=tcp dst-port=8080 \
        src-address=$readers dst-address=$agentAddress comment="phsweb-agent: page"]
    /ip/firewall/filter/move $added destination=$above
}
:if ([:len [/ip/firewall/nat/find where comment="phsweb-agent: page"]] = 0) do={
    /ip/firewall/nat/add chain=dstnat action=dst-nat protocol=tcp dst-port=$pagePort src-address=$readers \
        dst-address-type=local to-addresses=$agentAddress to-ports=8080 comment="phsweb-agent: page"
}
:if ($otherRouters = "yes" && [:len [/ip/firewall/nat/find where comment="phsweb-agent: others"]] = 0) do={
    /ip/firewall/nat/add chain=srcnat action=masquerade src-address=$agentAddress comment="phsweb-agent: others"
}

# The folder that is mounted as /etc/phsweb-agent. The password is generated here, set for the user, written into a file
# there, and never shown.
:local folder "$onDisk/phsweb-agent"
:if ([:len [/file/find where name=$folder]] = 0) do={
    :do {
        :local makeFolder [:parse "/file/add name=\"$folder\" type=directory"]
        $makeFolder
    } on-error={
        :error "phsweb-agent: create the folder $folder, for example by SFTP, and run this again: RouterOS $release can't."
    }
# The folder takes a moment to appear in the list of files.
    :delay 2s
}
:local writeFile [:parse "/file/add name=\$path contents=\$text"]
:if ([:len [/user/group/find where name="phsweb-agent"]] = 0) do={
    /user/group/add name=phsweb-agent policy=$agentMay
}
:local secretFile "$folder/router.secret"
:if ([:len [/file/find where name=$secretFile]] = 0 || [:len [/user/find where name="phsweb-agent"]] = 0) do={
    :local secret [:rndstr length=32 from="ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_"]
    :if ([:len [/file/find where name=$secretFile]] = 0) do={
        $writeFile path=$secretFile text=$secret
    } else={
        /file/set [find where name=$secretFile] contents=$secret
    }
    :if ([:len [/user/find where name="phsweb-agent"]] = 0) do={
        /user/add name=phsweb-agent group=phsweb-agent address="$agentAddress/32" password=$secret
    } else={
        /user/set [find where name="phsweb-agent"] password=$secret
    }
}
:local sitesFile "$folder/sites.ron"
:if ([:len [/file/find where name=$sitesFile]] = 0) do={
    :local sites ("(\n    sites: {\n        \"router\": (hosts: [\"$routerAddress:$apiPort\"], " . \
        "user: \"phsweb-agent\", password: File(\"router.secret\")),\n    },\n)\n")
    $writeFile path=$sitesFile text=$sites
}

# The container. Entrypoint and arguments equal those of the image: RouterOS 7.22 was seen to ignore these.
:local mountHas "name=phsweb-agent"
:local containerHas "mounts=phsweb-agent"
:if ($from721) do={
    :set mountHas "list=phsweb-agent"
    :set containerHas "mountlists=phsweb-agent"
}
:if ($from720) do={
    :set mountHas "$mountHas read-only=yes"
    :set containerHas "$containerHas memory-high=$memoryLimit"
}
:local mounts [:parse ":return [:len [/container/mounts/find where comment=\"phsweb-agent\"]]"]
:if ([$mounts] = 0) do={
    :local addMount [:parse "/container/mounts/add $mountHas src=$folder dst=/etc/phsweb-agent comment=phsweb-agent"]
    $addMount
}
:local containers [:parse ":return [:len [/container/find where comment=\"phsweb-agent\"]]"]
:if ([$containers] = 0) do={
    :local addContainer [:parse "/container/add file=$tarFile interface=veth-phsweb \
        root-dir=$onDisk/phsweb-agent-root entrypoint=/phsweb-agent \
        cmd=\"run --wait --config /etc/phsweb-agent/sites.ron --listen 0.0.0.0:8080\" \
        $containerHas logging=yes start-on-boot=yes comment=phsweb-agent"]
    $addContainer
}

# It can be started once the image is unpacked. Newer versions show a flag if it runs, older ones a status.
:local startIt [:parse "/container/start [/container/find where comment=\"phsweb-agent\"]"]
:local runs false
:local tries 0
:while (!$runs && $tries < 60) do={
    :do { $startIt } on-error={}
    :delay 2s
    :foreach one in={"running"; "status=\"running\""} do={
        :do {
            :local look [:parse ":return [:len [/container/find where comment=\"phsweb-agent\" and $one]]"]
            :if ([$look] > 0) do={ :set runs true }
        } on-error={}
    }
    :set tries ($tries + 1)
}
:if ($runs) do={
    :put "phsweb-agent: the agent runs. From $readers the page is at http://$agentAddress:8080/ and at this router's"
    :put "own addresses, port $pagePort. Its log: /log/print where topics~\"container\""
} else={
    :error "phsweb-agent: the agent does not run. Look at /container/print and at /log/print where topics~\"container\""
}
}
