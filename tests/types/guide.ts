// The types of the dashboard, as its guide has them.

export interface HotspotActiveUser {
  id: string;         // Internal MikroTik ID
  server: string;     // Hotspot server name
  user: string;       // Username
  address: string;    // IP address assigned
  mac: string;        // MAC address
  loginTime: string;  // When user logged in
  uptime: string;     // How long connected
  bytesIn: number;
  bytesOut: number;
}

export interface HotspotStats {
  activeUsers: number;      // Currently online users
  totalUsers: number;       // Total configured users
  totalBytesIn: number;     // Total data consumed
  totalBytesOut: number;    // Total data served
  lastActivity: string;     // Most recent login time
}

export interface RouterStatus {
  isOnline: boolean;     // Connection status
  uptime: string;        // Router uptime
  version: string;       // RouterOS version
  cpuLoad: number;       // CPU usage %
  freeMemory: number;    // Available RAM
  totalMemory: number;   // Total RAM
}

/** A site in `/api/hotspot/stats`. */
export type Site = HotspotStats & {
  status: "active" | "maintenance";
  routerStatus: RouterStatus;
};

/**
 * The type with more beside it, which an interface allows of all but a literal. What comes
 * from the agent is written out here as a literal, so that its strings keep their values.
 */
export type AndMore<T> = {
  [K in keyof T]: T[K] extends object ? AndMore<T[K]> : T[K];
} & { [more: string]: unknown };
