import { readFileSync } from "node:fs";

import { credentials, type ChannelCredentials } from "@grpc/grpc-js";

/** Whom the client trusts and who it is. There is no way to leave TLS out. */
export interface TlsFiles {
  /** PEM file of the authorities that the gateway's certificate must come from; without it those of Node.js. */
  readonly ca?: string;
  /** PEM file of the client's certificate with its intermediates; with `privateKey` or not at all. */
  readonly certificate?: string;
  /** PEM file of its unencrypted key. */
  readonly privateKey?: string;
  /** The name that the gateway's certificate must hold, where it is not the host of the target. */
  readonly serverName?: string;
}

/** Reads the files, once. Throws where one cannot be read, or where a certificate comes without its key. */
export function channelCredentials(files: TlsFiles): ChannelCredentials {
  if ((files.certificate === undefined) !== (files.privateKey === undefined)) {
    throw new TypeError("certificate and privateKey belong together: give both or neither");
  }
  return credentials.createSsl(read(files.ca), read(files.privateKey), read(files.certificate));
}

function read(file: string | undefined): Buffer | null {
  return file === undefined ? null : readFileSync(file);
}
