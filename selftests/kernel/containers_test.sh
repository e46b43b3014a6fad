#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Containers under a policy in their own paths: crun and runc, on the host's network and on one of
# their own, and podman. What enters them later is under it as well. Those that egressd.yaml names
# are held until they are.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

far=198.51.100.2 # the host, seen from the network of their own

own_network() {
	ip netns del inner 2>/dev/null
	ip netns add inner
	ip link add eth0 netns inner type veth peer name eth1 netns there
	ip -n inner addr add 198.51.100.1/24 dev eth0
	ip -n inner link set eth0 up
	ip -n inner link set lo up
	ip -n there addr add $far/24 dev eth1
	ip -n there link set eth1 up
}

rootfs() {
	mkdir -p $w/rootfs/{usr,proc,dev,sys,ctl,test,data,alias,etc,tmp,root,run}
	ln -s usr/bin $w/rootfs/bin
	ln -s usr/lib $w/rootfs/lib
	ln -s usr/lib64 $w/rootfs/lib64
	echo SECRET >$w/rootfs/data/secret
	echo plain >$w/rootfs/data/plain
	echo root:x:0:0::/root:/bin/sh >$w/rootfs/etc/passwd
	cat >$w/container.yaml <<-END
		version: 1
		egress:
		  allow: ["$there:7000", "$far:7000"]
		files:
		  default: none
		  /: r
		  /usr: rx
		  /test: rx
		  /dev: rw
		  /proc: rw
		  /ctl: rwxc
		  /data/secret: none
	END
}

# bundle RUNTIME NAME NETWORK [COMMAND…]: what the runtime makes of it, with our mounts
bundle() {
	rm -rf $w/bundle
	mkdir -p $w/bundle
	(cd $w/bundle && "$1" spec)
	shift
	python3 - $w "$@" <<-'END'
		import json, sys
		w, name, network, *command = sys.argv[1:]
		path = w + "/bundle/config.json"
		c = json.load(open(path))
		c["process"]["terminal"] = False
		c["process"]["args"] = command or ["/test/workload.py", "/ctl/" + name,
		                                   "/ctl/" + name + ".ready"]
		c["root"] = {"path": w + "/rootfs", "readonly": False}
		c["linux"]["cgroupsPath"] = "/containers/" + name
		c["linux"].pop("seccomp", None)
		c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] not in
		                            ("network", "cgroup")]
		if network == "own":
		    c["linux"]["namespaces"].append({"type": "network", "path": "/run/netns/inner"})
		for at, source in (("/usr", "/usr"), ("/ctl", w + "/ctl"), ("/test", w + "/bin"),
		                   ("/alias", w + "/rootfs/data")):
		    c["mounts"].append({"destination": at, "source": source, "options": ["rbind"]})
		json.dump(c, open(path, "w"))
	END
}

ready() { # NAME COMMAND…
	local name=$1
	shift
	rm -f $w/ctl/$name $w/ctl/$name.ready
	mkfifo -m 666 $w/ctl/$name.ready
	"$@" </dev/null >$w/$name.log 2>&1 &
	read -r _ <$w/ctl/$name.ready
}

before() { # NAME ADDRESS
	says $1 ok "$1: control: a file" open /data/secret
	says $1 ok "$1: control: its other name" open /alias/secret
	says $1 ok "$1: control: a connection that will be refused" tcp bad $2 7001
	says $1 ok "$1: control: a connection" tcp good $2 7000
	says $1 ok "$1: control: a socket" socket plain tcp
}

after() { # NAME ADDRESS
	check "$1: attach" is 0
	says $1 EACCES "$1: a file is refused, in its own path" open /data/secret
	says $1 EACCES "$1: by its other name, too" open /alias/secret
	says $1 EACCES "$1: to a thread" thread open /data/secret
	says $1 EACCES "$1: to a child" child open /data/secret
	says $1 ok "$1: what lies beside it is read" open /data/plain
	says $1 ECONNABORTED "$1: a connection is ended" echo bad
	says $1 ok "$1: an allowed one goes on" echo good
	says $1 EPERM "$1: a socket made before" connect plain $2 7001
	says $1 EPERM "$1: a new connection" tcp new $2 7001
	says $1 ok "$1: an allowed one" tcp new $2 7000
}

# entered NAME COMMAND…: what the runtime puts into the container later
entered() {
	local name=$1
	shift
	"$@" /bin/cat /data/plain >$w/out 2>$w/err
	status=$?
	check "$name: what enters it later runs" prints plain
	"$@" /bin/cat /data/secret >$w/out 2>$w/err
	status=$?
	check "$name: and is refused" err 'Permission denied'
}

oci() { # RUNTIME NETWORK
	local name=$1-$2 address=$there pid
	[ "$2" = host ] || address=$far
	bundle $1 $name $2
	ready $name $1 run --bundle $w/bundle $name
	before $name $address
	pid=$($1 state $name | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
	ctl attach -p $w/container.yaml --pid "$pid" --name $name
	after $name $address
	entered $name $1 exec $name
	$1 kill $name KILL
	wait
	until ! "$egressctl" ps | grep -q " $name\$"; do :; done
	check "$name: the sandbox ends with the container" true
}

# A runtime that nobody knows sets nothing up, until egressd.yaml names it.
elsewhere() {
	local name=crun-elsewhere
	install -D -m 755 "$(readlink -f "$(command -v crun)")" /opt/own/crun
	bundle crun $name own
	ready $name crun run --bundle $w/bundle $name
	ctl attach -p $w/container.yaml --name $name --pid "$(crun state $name |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')"
	/opt/own/crun exec $name /bin/cat /data/plain >$w/out 2>$w/err
	status=$?
	check "a runtime that nobody knows enters nothing" [ $status -ne 0 ]
	echo 'runtimes: [/opt/own/crun, /opt/own/none]' >>/etc/egressctl/egressd.yaml
	kill -HUP "$service"
	until grep -q 'settings read again' $w/service.log; do :; done
	check "one that is not there is said" grep -q 'there is no /opt/own/none' $w/service.log
	entered $name /opt/own/crun exec $name
	crun kill $name KILL
	wait
}

# by_pattern RUNTIME: its cgroup is named in egressd.yaml, nobody asks for anything
by_pattern() {
	local name=auto-$1
	bundle $1 $name own
	ready $name $1 run --bundle $w/bundle $name
	says $name EACCES "$name: a file is refused from the beginning" open /data/secret
	says $name ok "$name: what lies beside it is read" open /data/plain
	says $name EPERM "$name: a connection" tcp new $far 7001
	says $name ok "$name: an allowed one" tcp new $far 7000
	"$egressctl" ps >$w/out 2>&1
	check "$name: it is listed" out " $name\$"
	$1 kill $name KILL
	wait
}

# first RUNTIME NAME: a container whose first instructions try what is refused; what of it is in
# $did
first() {
	did=$w/ctl/$2.did
	bundle $1 $2 own /test/first /data/secret $far 7001 /ctl/$2.did
	$1 run --bundle $w/bundle $2 </dev/null >$w/$2.log 2>&1 &
	runtime=$!
}

# did TEXT NAME: how it went
did() {
	wait $runtime
	cp $did $w/out
	check "$2" out "^$1\$"
}

# Nobody answers for it in the moment in which it begins.
slowly() { # RUNTIME
	first $1 free-$1
	did 'open 0 connect 0' "$1: control: no pattern means it"
	kill -STOP "$service"
	first $1 auto-slow-$1
	is_held /containers/auto-slow-$1 $did "$1, egressd is slow"
	kill -CONT "$service"
	did 'open EACCES connect EPERM' "$1: then its first instruction is refused"
}

without_egressd() {
	stop_service KILL
	first runc auto-dead
	is_held /containers/auto-dead $did "egressd is dead"
	cp $w/container.yaml $w/good.yaml
	echo nonsense: >>$w/container.yaml
	start_service
	grep -q '/containers/auto-dead is not attached: .*nonsense' $w/service.log
	result $? "its policy is bad: that is said"
	is_held /containers/auto-dead $did "its policy is bad"
	mv $w/good.yaml $w/container.yaml
	kill -HUP "$service"
	did 'open EACCES connect EPERM' "the policy is good again: it goes on under it"
	echo nonsense: >>$w/container.yaml
	first crun auto-end
	is_held /containers/auto-end $did "its policy is bad again"
	stop_service
	did 'open 0 connect 0' "egressd goes for good: what it held goes on"
}

with_podman() { # NETWORK
	local name=podman-$1 address=$there network=host
	[ "$1" = host ] || { address=$far && network=ns:/run/netns/inner; }
	export CONTAINERS_STORAGE_CONF=$w/storage.conf
	printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' $w/graph $w/run \
		>$w/storage.conf
	ready $name podman --cgroup-manager=cgroupfs --runtime=crun run --name $name \
		--network=$network --security-opt=seccomp=unconfined --pids-limit=-1 \
		-v /usr:/usr -v $w/ctl:/ctl -v $w/bin:/test -v $w/rootfs/data:/alias \
		--rootfs $w/rootfs /test/workload.py /ctl/$name /ctl/$name.ready
	before $name $address
	ctl attach -p $w/container.yaml --name $name --pid \
		"$(podman inspect --format '{{.State.Pid}}' $name)"
	after $name $address
	entered $name podman --cgroup-manager=cgroupfs --runtime=crun exec $name
	podman --cgroup-manager=cgroupfs kill $name >/dev/null
	until ! "$egressctl" ps | grep -q " $name\$"; do :; done
	check "$name: the sandbox ends with the container" true
}

prepare
attach_policies
attach_host
disown -a
own_network
rootfs
mkdir -p /etc/egressctl
cat >/etc/egressctl/egressd.yaml <<-END
	version: 1
	attach:
	  - {cgroup: "/containers/auto-*", policy: $w/container.yaml}
END
install -m 755 "$EGRESSCTL_BUILD"/selftests/work/first $w/bin
start_service || exit 1
elsewhere
by_pattern crun
by_pattern runc
slowly crun
slowly runc
oci crun own
oci crun host
oci runc own
oci runc host
with_podman host
with_podman own
without_egressd
finish
