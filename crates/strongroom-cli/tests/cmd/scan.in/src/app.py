import client
API_TOKEN = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"
print(API_TOKEN)
