// The GraphQL server on npm graphql-ws. Who connects says in `connectionParams` the token `pa55`.
'use strict';
const { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema } = require('graphql');
const { useServer } = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');

let live = 0; // subscriptions to what never ends by itself

async function* countTo(_, { last }) {
  for (let number = 1; number <= last; number += 1) yield { count: number };
}

async function* countForEver() {
  live += 1;
  try {
    for (let number = 1; ; number += 1) {
      yield { countForEver: number };
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } finally {
    live -= 1;
  }
}

async function* fail() {
  yield { fail: 1 };
  throw new Error('broken');
}

const integer = { type: GraphQLInt };
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { live: { type: GraphQLInt, resolve: () => live } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      count: { ...integer, args: { last: { type: new GraphQLNonNull(GraphQLInt) } }, subscribe: countTo },
      countForEver: { ...integer, subscribe: countForEver },
      fail: { ...integer, subscribe: fail },
    },
  }),
});

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  console.log(`listening ws://127.0.0.1:${server.address().port}/`);
});
const onConnect = ({ connectionParams }) => connectionParams?.token === 'pa55';
useServer({ schema, onConnect }, server, 500 /* milliseconds between pings */);
