const pad = require('left-padder');
const money = require('tiny-money');

exports.receipt = (items) =>
  items.map(([what, cents]) => what + pad(money(cents), 16 - what.length)).join('\n');
