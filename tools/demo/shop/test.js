const assert = require('assert');
const { receipt } = require('./receipt');

assert.strictEqual(receipt([['tea', 250], ['kettle', 4999]]),
  'tea         2.50\nkettle     49.99');
console.log('1 test passed');
